import type { TestApp } from '../harness.ts'

type Part = Readonly<Record<string, unknown>>

let resolved: unknown

/**
 * The document with every reference replaced by what it refers to, and `type: [x, null]` written as a choice. It is the same for
 * every app of a process, and takes up to a second to make.
 */
export function resolvedDocument(t: TestApp): unknown {
  resolved ??= madeOf(t)
  return resolved
}

function madeOf({ app }: TestApp): unknown {
  const document = app.http.swagger() as unknown
  const resolve = (reference: string): unknown =>
    reference
      .slice(2)
      .split('/')
      .reduce((value, name) => (value as Part)[name], document)
  const inFull = (value: unknown): unknown =>
    JSON.parse(JSON.stringify(value), (_name, part: Part | null) => {
      if (typeof part?.$ref === 'string') return inFull(resolve(part.$ref))
      if (!Array.isArray(part?.type)) return part
      const { type, description, ...rest } = part as Part & { readonly type: readonly string[] }
      return { anyOf: type.map((each) => (each === 'null' ? { type: each } : { ...rest, type: each })), description }
    })
  return inFull(document)
}
