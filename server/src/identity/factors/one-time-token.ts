import { createHash, randomBytes } from 'node:crypto'

/** 256 random bits that are shown once; the fast hash is what is stored. */
export function newOneTimeToken(): { readonly token: string; readonly hash: Buffer } {
  const token = randomBytes(32).toString('base64url')
  return { token, hash: hashOneTimeToken(token) }
}

export function hashOneTimeToken(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
