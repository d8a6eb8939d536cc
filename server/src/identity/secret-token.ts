import { createHash, randomBytes } from 'node:crypto'

/** 256 random bits in base64url, such as a link, a cookie or a state carries: shown once, and stored as their hash. */
export function newSecretToken(): string {
  return randomBytes(32).toString('base64url')
}

export function isSecretToken(text: string | undefined): text is string {
  return text !== undefined && /^[A-Za-z0-9_-]{43}$/.test(text)
}

/** Nobody guesses 256 bits, so a fast hash is enough. */
export function hashSecretToken(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
