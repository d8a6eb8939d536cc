import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import { refusal } from '../problem.ts'
import { decrypt, encrypt } from './sealed-text.ts'

/** A key that encrypts data keys and nothing else; it is never in the database. */
export interface KeyEncryptionKey {
  readonly id: string
  readonly key: KeyObject
}

/** The key-encryption key that is derived from SECRET_KEY when none is configured. */
export const secretKeyId = 'secret-key'

const keyBytes = 32

/** `id1:base64,id2:base64`, the first one the current one. Throws an Error that completes "KEY_ENCRYPTION_KEYS ...". */
export function parseKeyEncryptionKeys(text: string): readonly KeyEncryptionKey[] {
  const keys = text
    .split(/[,\s]+/)
    .filter((entry) => entry !== '')
    .map((entry, index) => {
      const [, id, encoded] = /^([A-Za-z0-9][A-Za-z0-9._-]{0,63}):([A-Za-z0-9+/_-]{43}=?)$/.exec(entry) ?? []
      const bytes = Buffer.from(encoded ?? '', 'base64')
      // Never the entry itself: a mistyped key may still be a key.
      if (id === undefined || bytes.length !== keyBytes) {
        throw new Error(
          `has an entry (number ${index + 1}) that is not id:key, with an id of letters, digits, ".", "_" and "-", and 32 bytes in base64: make a key with "openssl rand -base64 32"`,
        )
      }
      if (id === secretKeyId)
        throw new Error(`uses the id "${secretKeyId}", which is reserved for the key derived from SECRET_KEY`)
      if (bytes.every((byte) => byte === bytes[0])) {
        throw new Error(`has a key ("${id}") that is not random: make it with "openssl rand -base64 32"`)
      }
      return { id, key: createSecretKey(bytes) }
    })
  if (keys.length === 0) throw new Error('is empty: name at least one key as id:base64')
  const twice = keys.find(({ id }, index) => keys.findIndex((other) => other.id === id) !== index)
  if (twice !== undefined) throw new Error(`has the id "${twice.id}" twice`)
  return keys
}

/** A data key as the database keeps it. */
export interface WrappedKey {
  readonly organizationId: string
  readonly id: string
  readonly kekId: string
  readonly wrapped: Buffer
}

export type KeyRing = ReturnType<typeof createKeyRing>

export interface KeyRingOptions {
  /** The first one wraps, all of them unwrap. */
  readonly configured: readonly KeyEncryptionKey[]
  readonly secretKey: string
  /** SECRET_KEY_PREVIOUS: data keys that it wrapped can still be opened. */
  readonly previousSecretKey: string | null
}

/** Wraps and unwraps data keys with the key-encryption keys of this process. */
export function createKeyRing({ configured, secretKey, previousSecretKey }: KeyRingOptions) {
  const derived = [secretKey, previousSecretKey].flatMap((key) => (key === null ? [] : [deriveKey(key)]))
  const keys = [...configured, ...derived]
  const current = keys[0] ?? deriveKey(secretKey)
  /** The ids of keys that opened something here, and of those that some data key needed and that did not open it. */
  const [proven, failed] = [new Set<string>(), new Set<string>()]

  const decrypted = (candidates: readonly KeyEncryptionKey[], wrapped: WrappedKey): Buffer => {
    let failure: unknown
    // With authenticated encryption a wrong key cannot seem to fit.
    for (const { key } of candidates.filter(({ id }) => id === wrapped.kekId)) {
      try {
        const opened = decrypt(key, wrapped.wrapped, wrapContext(wrapped))
        proven.add(wrapped.kekId)
        return opened
      } catch (error) {
        failure = error
      }
    }
    failed.add(wrapped.kekId)
    throw keyUnavailable(`data key ${wrapped.id} needs the key-encryption key "${wrapped.kekId}"`, failure)
  }
  const wrap = (organizationId: string, id: string, dataKey: Buffer): WrappedKey => {
    const named = { organizationId, id, kekId: current.id }
    return { ...named, wrapped: encrypt(current.key, dataKey, wrapContext(named)) }
  }
  return {
    wrap,
    /** Throws 503 `service.key_unavailable`. */
    unwrap: (wrapped: WrappedKey): KeyObject => asKey(decrypted(keys, wrapped)),
    opens: (wrapped: WrappedKey): boolean => opens(() => decrypted(keys, wrapped)),
    /** The same key wrapped under the current key-encryption key; null when it already is. Throws as `unwrap` does. */
    rewrap: (wrapped: WrappedKey): WrappedKey | null => {
      if (opens(() => decrypted([current], wrapped))) return null
      const bytes = decrypted(keys, wrapped)
      const again = wrap(wrapped.organizationId, wrapped.id, bytes)
      bytes.fill(0)
      return again
    },
    /** Ids of keys that were needed and are not there. One damaged data key among others does not count. */
    missing: (): readonly string[] => [...failed].filter((id) => !proven.has(id)),
  }
}

/** 503: a key that sealed the secret is missing. The operator can restore it, the caller cannot. */
export const keyUnavailable = refusal(
  503,
  'service.key_unavailable',
  (what: string, cause?: unknown) => ({
    detail:
      'A stored secret that this call needs cannot be read or written just now, because its key is not available. ' +
      'Nothing is lost: try again once the operator has restored KEY_ENCRYPTION_KEYS.',
    headers: { 'retry-after': '30' },
    cause: new Error(what, { cause }),
  }),
  'the key is missing',
)

export function isKeyUnavailable(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === keyUnavailable.code
}

/** Independent of every other key that is derived from SECRET_KEY (RFC 5869). */
function deriveKey(secretKey: string): KeyEncryptionKey {
  const bytes = hkdfSync('sha256', secretKey, '', 'hitl key encryption key v1', keyBytes)
  return { id: secretKeyId, key: createSecretKey(Buffer.from(bytes)) }
}

/** Binds a wrapped key to its organization, id and key-encryption key: moved elsewhere, it does not open. */
function wrapContext({ organizationId, id, kekId }: Omit<WrappedKey, 'wrapped'>): string {
  return `hitl data key v1/${organizationId}/${id}/${kekId}`
}

function asKey(bytes: Buffer): KeyObject {
  const key = createSecretKey(bytes)
  bytes.fill(0)
  return key
}

function opens(open: () => Buffer): boolean {
  try {
    open().fill(0)
    return true
  } catch {
    return false
  }
}
