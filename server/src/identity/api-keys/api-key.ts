import { hash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const idLength = 22 // 128 bits in base 62
const secretLength = 43 // 256 bits in base 62
const checksumLength = 6 // CRC-32 in base 62

/** The shape of a key, for secret scanners: `hitl_`, then the id, 256 random bits and a CRC-32, all base 62. */
export const apiKeyPattern = /^hitl_[0-9A-Za-z]{71}$/

/**
 * The same for secret scanners, as `/.well-known/hitl-api-key.json` publishes it. With the checksum a scanner tells keys from
 * look-alikes without asking anybody: one text in 57 billion passes by chance.
 */
export const keyFormat = {
  name: 'HITL API key',
  prefix: 'hitl_',
  // RE2 and PCRE understand it alike.
  regex: '\\bhitl_[0-9A-Za-z]{71}\\b',
  length: 76,
  alphabet,
  parts: [
    { name: 'prefix', length: 5, description: 'hitl_' },
    {
      name: 'id',
      length: idLength,
      description: '128 bits in base 62: the id of the key as the API shows it, a UUID.',
    },
    { name: 'secret', length: secretLength, description: '256 random bits in base 62.' },
    {
      name: 'checksum',
      length: checksumLength,
      description:
        'CRC-32 (ISO 3309, as zlib has it) of all ASCII characters before it, as a number in base 62, most significant ' +
        'digit first, padded with 0. The digits of base 62 are the characters of `alphabet` in their order.',
    },
  ],
  checksum: 'crc32',
} as const

/** A new key for the row `id`. The same secret gives the same key again. */
export function mintApiKey(id: string, secret: Buffer = randomBytes(32)): string {
  const body = `hitl_${encode(Buffer.from(id.replaceAll('-', ''), 'hex'), idLength)}${encode(secret, secretLength)}`
  return body + checksum(body)
}

/** The id in a key; null if it is not a key of this service. Needs no database, so typos and other products' keys cost nothing. */
export function apiKeyId(raw: string): string | null {
  if (!apiKeyPattern.test(raw)) return null
  const body = raw.slice(0, -checksumLength)
  if (checksum(body) !== raw.slice(-checksumLength)) return null
  const hex = decode(raw.slice(5, 5 + idLength))
    .toString(16)
    .padStart(32, '0')
  if (hex.length !== 32) return null
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** SHA-256: enough for 256 random bits, and fast enough for every call. */
export function hashApiKey(raw: string): Buffer {
  return hash('sha256', raw, 'buffer')
}

function checksum(body: string): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(crc32(body))
  return encode(bytes, checksumLength)
}

function encode(bytes: Buffer, length: number): string {
  let value = BigInt(`0x${bytes.toString('hex')}`)
  let text = ''
  for (let place = 0; place < length; place += 1) {
    text = alphabet.charAt(Number(value % 62n)) + text
    value /= 62n
  }
  return text
}

function decode(text: string): bigint {
  let value = 0n
  for (const char of text) value = value * 62n + BigInt(alphabet.indexOf(char))
  return value
}
