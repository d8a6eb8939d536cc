import { isObject, placeOf, pointerOf, valueAt } from './pointer.ts'

/** How an agent would like parts of what it asks to be shown. What cannot be shown so is shown plainly. */
export const renders = [
  'diff',
  'code',
  'markdown',
  'image',
  'table',
  'sql',
  'shell',
  'email',
  'url',
  'money',
  'json',
  'text',
] as const
export type Render = (typeof renders)[number]

export interface Hint {
  readonly render: Render | null
  readonly label: string | null
  readonly language: string | null
  readonly currency: string | null
  /** What it was before; `undefined` when the hint leads nowhere. */
  readonly before: unknown
}

/** By pointers in their one spelling, such as /action/args/body. */
export type Hints = ReadonlyMap<string, Hint>

/** What of a request hints may point into. */
export interface Shown {
  readonly context: unknown
  readonly action: { readonly args: unknown } | null
  readonly presentation: { readonly hints?: unknown } | null
}

const text = (value: unknown, most: number): string | null =>
  typeof value === 'string' && value !== '' && value.length <= most ? value : null

export function hintsOf({ context, action, presentation }: Shown): Hints {
  const given = presentation?.hints
  const found = new Map<string, Hint>()
  if (!isObject(given)) return found
  const root = { context, action: action === null ? undefined : { args: action.args } }
  for (const [pointer, hint] of Object.entries(given)) {
    const place = placeOf(pointer)
    if (place === null || !isObject(hint) || valueAt(root, place) === undefined) continue
    const before = typeof hint.before === 'string' ? placeOf(hint.before) : null
    found.set(pointerOf(place), {
      render: renders.find((render) => render === hint.render) ?? null,
      label: text(hint.label, 255),
      language: text(hint.language, 40),
      currency: text(hint.currency, 3),
      before: before === null ? undefined : valueAt(root, before),
    })
  }
  return found
}
