import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, randomBytes } from 'node:crypto'

/** Secrets that must be read again (callback secrets) at rest: AES-256-GCM, one random nonce each. */
export interface Sealer {
  /** `context` (organization, table, row) is authenticated: a sealed value copied elsewhere does not open. */
  seal(plain: string, context: string): Buffer
  open(sealed: Buffer, context: string): string
}

/** First byte of a sealed value: which key and layout made it, so that keys can be rotated. */
const version = 1
const nonceBytes = 12
const tagBytes = 16

/** The encryption key is derived from SECRET_KEY with HKDF-SHA-256 (RFC 5869), apart from the token-signing key. */
export function createSealer(secretKey: string): Sealer {
  // A KeyObject: a Buffer is checked and wrapped at every use, five times the cost of the encryption itself.
  const key = createSecretKey(Buffer.from(hkdfSync('sha256', secretKey, '', 'hitl sealed text v1', 32)))
  return {
    seal: (plain, context) => {
      const nonce = randomBytes(nonceBytes)
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context))
      const body = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
      return Buffer.concat([Buffer.of(version), nonce, cipher.getAuthTag(), body])
    },
    open: (sealed, context) => {
      if (sealed[0] !== version) throw new Error(`sealed with key version ${sealed[0]}, which is not configured`)
      const nonce = sealed.subarray(1, 1 + nonceBytes)
      const tag = sealed.subarray(1 + nonceBytes, 1 + nonceBytes + tagBytes)
      const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
      decipher.setAAD(Buffer.from(context)).setAuthTag(tag)
      const body = sealed.subarray(1 + nonceBytes + tagBytes)
      return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8')
    },
  }
}
