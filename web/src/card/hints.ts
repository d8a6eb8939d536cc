/** How the agent wants a part of its request shown; its own members are in `RequestPresentation`. */
export interface Hint {
  readonly render: string | null
  readonly label: string | null
  readonly language: string | null
  readonly before: string | null
  readonly currency: string | null
}

/** By JSON Pointer. They come from the agent, so nothing of them is taken for granted. */
export type Hints = Readonly<Record<string, unknown>> | null | undefined

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)

export function hintOf(hints: Hints, pointer: string): Hint | null {
  const given = hints != null && Object.hasOwn(hints, pointer) ? hints[pointer] : undefined
  if (!isRecord(given)) return null
  const { render, label, language, before, currency } = given
  return {
    render: textOf(render),
    label: textOf(label),
    language: textOf(language),
    before: textOf(before),
    currency: textOf(currency),
  }
}

/** RFC 6901. */
export const pointerTo = (parent: string, name: string): string =>
  `${parent}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`

/** "customer_since" and "customerSince" as "Customer since"; what is no such name stays as it is. */
export function labelOf(name: string): string {
  if (!/^[A-Za-z][A-Za-z0-9_-]*$/.test(name)) return name
  const words = name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replaceAll(/[_-]+/g, ' ')
    .trim()
  const isShouted = words === words.toUpperCase()
  return isShouted
    ? words
    : words.charAt(0).toUpperCase() + words.slice(1).replaceAll(/\b[A-Z](?=[a-z])/g, (letter) => letter.toLowerCase())
}

/** An object that is shown as labels and values. */
export interface FieldsProps {
  readonly value: Readonly<Record<string, unknown>>
  readonly pointer: string
  readonly hints: Hints
  readonly depth?: number
}
