import { refusal } from '../platform/problem.ts'

/** Of a content: both ends are part of it. */
export interface ByteRange {
  readonly first: number
  readonly last: number
}

export const rangeUnsatisfiable = refusal(
  416,
  'attachment.range_unsatisfiable',
  (size: number) => ({
    detail: `The range begins after the end of the file, which has ${size} bytes. Ask for a part of it.`,
    headers: { 'content-range': `bytes */${size}` },
  }),
  1_024,
)

/**
 * The part that a Range header asks for (RFC 9110, 14.1); null: all of it, which is also the reply to several parts at once and
 * to what is not understood. Throws 416 for a part that is not there.
 */
export function rangeOf(header: string | undefined, size: number): ByteRange | null {
  const [, first = '', last = ''] = /^bytes=[ \t]*(\d{0,15})-(\d{0,15})[ \t]*$/i.exec(header ?? '') ?? []
  if (first === '' && last === '') return null
  if (first === '') {
    const length = Math.min(Number(last), size)
    if (length === 0) throw rangeUnsatisfiable(size)
    return { first: size - length, last: size - 1 }
  }
  if (last !== '' && Number(last) < Number(first)) return null
  if (Number(first) >= size) throw rangeUnsatisfiable(size)
  return { first: Number(first), last: last === '' ? size - 1 : Math.min(Number(last), size - 1) }
}
