const excerptCharacters = 1_000
// 1 000 characters of at most 4 UTF-8 bytes each.
const excerptBytes = 4 * excerptCharacters
const longestRetryAfterSeconds = 365 * 24 * 3_600

/** Collects the beginning of a reply; `length` counts all bytes added, kept or not. */
export function createReplyExcerpt() {
  const kept: Buffer[] = []
  let keptBytes = 0
  let length = 0
  return {
    get length() {
      return length
    },
    add(chunk: Uint8Array): void {
      length += chunk.byteLength
      if (keptBytes >= excerptBytes) return
      // A copy: the chunk is a view of the socket's whole read buffer and would keep it in memory.
      const part = Buffer.from(chunk.subarray(0, excerptBytes - keptBytes))
      keptBytes += part.byteLength
      kept.push(part)
    },
    /** At most 1 000 characters that PostgreSQL can store as text: see `storableText`. */
    text: () => (keptBytes === 0 ? '' : storableText(Buffer.concat(kept), length > keptBytes)),
  }
}

/**
 * Reads bytes as UTF-8 and cuts them to 1 000 code points. Anything that is not UTF-8 (a compressed or binary reply), and
 * control characters other than tab and line ends, become U+FFFD: PostgreSQL refuses NUL, and a log must not carry terminal
 * codes. `isCut`: the bytes end in the middle of a longer reply, perhaps within a character, which is then left out.
 */
function storableText(bytes: Uint8Array, isCut: boolean): string {
  const decoded = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes, { stream: isCut })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is replaced
  const clean = decoded.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g, '\uFFFD')
  return clean.length <= excerptCharacters ? clean : Array.from(clean).slice(0, excerptCharacters).join('')
}

/**
 * Seconds to wait by a `Retry-After` header (RFC 9110 10.2.3: delta-seconds or an HTTP-date), never negative and at most
 * a year; null if there is none or it is neither. Of dates only the one current form counts, and `toUTCString`
 * writes that form: `Date.parse` alone would also take `1.5` for a day in January.
 */
export function parseRetryAfter(header: string | undefined, nowMs: number): number | null {
  const value = header?.trim() ?? ''
  const at = new Date(value)
  const isDate = !Number.isNaN(at.getTime()) && at.toUTCString() === value
  if (!isDate && !/^\d+$/.test(value)) return null
  const seconds = isDate ? Math.ceil((at.getTime() - nowMs) / 1_000) : Number(value)
  return Math.min(Math.max(0, seconds), longestRetryAfterSeconds)
}
