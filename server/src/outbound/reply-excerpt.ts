const EXCERPT_CHARACTERS = 1_000
// 1 000 characters of at most 4 UTF-8 bytes each.
const EXCERPT_BYTES = 4 * EXCERPT_CHARACTERS
const LONGEST_RETRY_AFTER_SECONDS = 365 * 24 * 3_600

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const CLOCK = '(\\d{2}):(\\d{2}):(\\d{2})'
// RFC 9110 5.6.7: a recipient must read all three forms. Each: [day, month, year, hours, minutes, seconds] by name.
const IMF_FIXDATE = new RegExp(`^\\w{3}, (\\d{2}) (\\w{3}) (\\d{4}) ${CLOCK} GMT$`)
const RFC_850 = new RegExp(`^\\w{6,9}, (\\d{2})-(\\w{3})-(\\d{2}) ${CLOCK} GMT$`)
const ASCTIME = new RegExp(`^\\w{3} (\\w{3}) ([ \\d]\\d) ${CLOCK} (\\d{4})$`)

/** Collects the beginning of a reply; `length` counts all bytes that were added, kept or not. */
export interface ReplyExcerpt {
  readonly length: number
  add(chunk: Uint8Array): void
  /** At most 1 000 characters that PostgreSQL can store as text: see `storableText`. */
  text(): string
}

export function createReplyExcerpt(): ReplyExcerpt {
  const kept: Buffer[] = []
  let keptBytes = 0
  let length = 0
  return {
    get length() {
      return length
    },
    add(chunk) {
      length += chunk.byteLength
      if (keptBytes >= EXCERPT_BYTES) return
      // A copy: the chunk is a view of the socket's whole read buffer, which would be held in memory with it.
      const part = Buffer.from(chunk.subarray(0, EXCERPT_BYTES - keptBytes))
      keptBytes += part.byteLength
      kept.push(part)
    },
    text: () => (keptBytes === 0 ? '' : storableText(Buffer.concat(kept), length > keptBytes)),
  }
}

/**
 * Reads bytes as UTF-8 and cuts them to 1 000 code points. What is not UTF-8 (a compressed or binary reply) and control
 * characters but tab and line ends become U+FFFD: PostgreSQL refuses NUL, and a log must not carry terminal codes.
 * `isCut`: the bytes end in the midst of a longer reply, perhaps in the midst of a character, which is then left out.
 */
function storableText(bytes: Uint8Array, isCut: boolean): string {
  const decoded = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes, { stream: isCut })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is replaced
  const clean = decoded.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g, '\uFFFD')
  return clean.length <= EXCERPT_CHARACTERS ? clean : Array.from(clean).slice(0, EXCERPT_CHARACTERS).join('')
}

/**
 * Seconds to wait by a `Retry-After` header (RFC 9110 10.2.3: delta-seconds or an HTTP-date), never negative and at most
 * a year; null when there is none or it is neither.
 */
export function parseRetryAfter(header: string | undefined, nowMs: number): number | null {
  const value = header?.trim() ?? ''
  if (/^\d+$/.test(value)) return Math.min(Number(value), LONGEST_RETRY_AFTER_SECONDS)
  const at = parseHttpDate(value, nowMs)
  return at === null ? null : Math.min(Math.max(0, Math.ceil((at - nowMs) / 1_000)), LONGEST_RETRY_AFTER_SECONDS)
}

function parseHttpDate(value: string, nowMs: number): number | null {
  const imf = IMF_FIXDATE.exec(value)
  if (imf) return utc(imf[3], imf[2], imf[1], imf.slice(4))
  const rfc850 = RFC_850.exec(value)
  if (rfc850) return utc(fullYear(Number(rfc850[3]), nowMs), rfc850[2], rfc850[1], rfc850.slice(4))
  const asctime = ASCTIME.exec(value)
  return asctime ? utc(asctime[6], asctime[1], asctime[2], asctime.slice(3, 6)) : null
}

// RFC 9110 5.6.7: a two-digit year that seems more than 50 years ahead is the most recent past year with these digits.
function fullYear(twoDigits: number, nowMs: number): number {
  const thisYear = new Date(nowMs).getUTCFullYear()
  const year = thisYear - (thisYear % 100) + twoDigits
  return year > thisYear + 50 ? year - 100 : year
}

function utc(
  year: string | number | undefined,
  month: string | undefined,
  day: string | undefined,
  clock: readonly string[],
): number | null {
  const monthIndex = MONTHS.indexOf(month ?? '')
  const [hours = Number.NaN, minutes = Number.NaN, seconds = Number.NaN] = clock.map(Number)
  const at = Date.UTC(Number(year), monthIndex, Number(day), hours, minutes, seconds)
  const isRealDay = monthIndex >= 0 && new Date(at).getUTCDate() === Number(day)
  return isRealDay && hours < 24 && minutes < 60 && seconds <= 60 ? at : null
}
