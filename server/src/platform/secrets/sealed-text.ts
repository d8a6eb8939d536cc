import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto'
import { quickRandomBytes } from '../random.ts'

/** Where a sealed value belongs: authenticated with it, so that a value copied to another place does not open. */
export interface Place {
  /** `installationId` (ids.ts) for what belongs to no organization. */
  readonly organizationId: string
  readonly table: string
  readonly column: string
  /** The row's id within its organization. */
  readonly row: string
}

/** Encrypts secrets that must be read again (callback secrets, TOTP seeds, channel tokens). Made by `envelope.ts`. */
export interface Sealer {
  /** Throws 503 `service.key_unavailable` when the key is not there: a secret is never stored in the clear. */
  seal(plain: string, place: Place): Promise<Buffer>
  /** Throws 503 as `seal` does; throws an Error (`isNotWhatWasSealed`) when the value is not what was sealed for this place. */
  open(sealed: Buffer, place: Place): Promise<string>
}

/** A key that seals values; values name it, so that any number of them can be in use at once. */
export interface DataKey {
  readonly id: string
  /** A KeyObject: a Buffer is checked and wrapped at every use, five times the cost of the encryption itself. */
  readonly key: KeyObject
}

/**
 * A sealed value: one byte of format, the data key's id (16), nonce (12), tag (16), and the text under AES-256-GCM
 * (NIST SP 800-38D).
 */
const format = 1
const idBytes = 16
const nonceBytes = 12
const tagBytes = 16

/** The id of the data key that a value needs. */
export function dataKeyIdOf(sealed: Buffer): string {
  if (sealed[0] !== format || sealed.length < 1 + idBytes + nonceBytes + tagBytes) {
    throw notWhatWasSealed(`this is not a sealed value, or one of a newer version (format ${sealed[0]})`)
  }
  const hex = sealed.toString('hex', 1, 1 + idBytes)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

export function sealText({ id, key }: DataKey, plain: string, place: Place): Buffer {
  const head = Buffer.from(`0${format}${id.replaceAll('-', '')}`, 'hex')
  return encrypt(key, Buffer.from(plain, 'utf8'), textContext(id, place), head)
}

export function openText({ id, key }: DataKey, sealed: Buffer, place: Place): string {
  try {
    return decrypt(key, sealed.subarray(1 + idBytes), textContext(id, place)).toString('utf8')
  } catch (cause) {
    throw notWhatWasSealed(`this is not what was sealed for ${place.table}.${place.column}`, cause)
  }
}

const changedCode = 'HITL_NOT_WHAT_WAS_SEALED'

function notWhatWasSealed(message: string, cause?: unknown): Error {
  return Object.assign(new Error(message, { cause }), { code: changedCode })
}

/** Whether a value was not opened because somebody changed it or put it elsewhere, and not because something is missing. */
export function isNotWhatWasSealed(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === changedCode
}

/** `head` unchanged, then nonce, tag and ciphertext. Nonces are random: envelope.ts replaces a key long before two of them could be equal. */
export function encrypt(key: KeyObject, plain: Buffer, context: string, head = Buffer.alloc(0)): Buffer {
  const nonce = quickRandomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context, 'utf8'))
  const body = cipher.update(plain)
  // GCM is a stream cipher: no more output comes, but this computes the tag.
  cipher.final()
  return Buffer.concat([head, nonce, cipher.getAuthTag(), body])
}

/** Throws when anything was changed, the context included. */
export function decrypt(key: KeyObject, sealed: Buffer, context: string): Buffer {
  const nonce = sealed.subarray(0, nonceBytes)
  const tag = sealed.subarray(nonceBytes, nonceBytes + tagBytes)
  // With an explicit length, because Node would accept a shorter tag, which is easier to guess.
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
  decipher.setAAD(Buffer.from(context, 'utf8')).setAuthTag(tag)
  return Buffer.concat([decipher.update(sealed.subarray(nonceBytes + tagBytes)), decipher.final()])
}

/** Unambiguous: ids and names of tables and columns contain no slash, and the row comes last. */
function textContext(keyId: string, { organizationId, table, column, row }: Place): string {
  return `hitl sealed text v${format}/${keyId}/${organizationId}/${table}/${column}/${row}`
}
