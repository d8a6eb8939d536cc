import { createPrivateKey, createPublicKey, generateKeyPairSync, hash, type KeyObject, sign } from 'node:crypto'

/** What a key signs; a key signs one kind of thing only, so that nothing can be passed off as something else. */
export const purposes = ['access_token', 'certificate', 'audit_head'] as const
export type Purpose = (typeof purposes)[number]

/** An Ed25519 key of the installation, without its private part. */
export interface SigningKey {
  readonly id: string
  /** The thumbprint of the public part (RFC 7638): nobody can make another key with the same one. */
  readonly kid: string
  readonly purpose: Purpose
  /** 32 bytes. */
  readonly publicKey: Buffer
  readonly createdAt: Date
  /** Published since its creation, used from here on. */
  readonly activeAt: Date
  /** Signs nothing from this time on; null while it has no successor. */
  readonly retiredAt: Date | null
  /** Nothing that it signed counts any more, whenever it was signed. */
  readonly revokedAt: Date | null
}

export interface NewSigningKey {
  readonly key: SigningKey
  /** The `d` of its JWK: to be sealed, and never shown. */
  readonly secret: string
}

export function generateSigningKey(id: string, purpose: Purpose, now: Date, activeAt = now): NewSigningKey {
  const { d = '', x = '' } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
  const publicKey = Buffer.from(x, 'base64url')
  const kid = thumbprint(publicKey)
  return { key: { id, kid, purpose, publicKey, createdAt: now, activeAt, retiredAt: null, revokedAt: null }, secret: d }
}

/**
 * What is sealed beside a key. Only a process that has the service's keys can seal it, so a public key that somebody with the
 * database has put there, or has given another purpose, is found.
 */
export function proofOf({ purpose, publicKey }: SigningKey): string {
  return `${purpose} ${publicKey.toString('base64url')}`
}

/** Whether the id is that of the key, and `proof` was sealed for it. */
export function isProven(key: SigningKey, proof: string): boolean {
  return key.kid === thumbprint(key.publicKey) && proof === proofOf(key)
}

/** The one that signs now: the last to have become active. Before any has, by this process's clock, the one that will; never a leaked one. */
export function signingKeyAt(keys: readonly SigningKey[], purpose: Purpose, now: Date): SigningKey | null {
  const isUsable = ({ retiredAt, revokedAt }: SigningKey) =>
    revokedAt === null && (retiredAt === null || retiredAt > now)
  const ours = keys.filter((key) => key.purpose === purpose && isUsable(key))
  const active = ours.filter((key) => key.activeAt <= now)
  const byTime = (active.length > 0 ? active : ours).toSorted((a, b) => b.activeAt.getTime() - a.activeAt.getTime())
  return byTime[0] ?? null
}

export interface Jwk {
  readonly kty: 'OKP'
  readonly crv: 'Ed25519'
  readonly x: string
  readonly kid: string
  readonly alg: 'EdDSA'
  readonly use: 'sig'
  /** What the key signs. Not part of the standard, which lets readers ignore unknown members. */
  readonly purpose: Purpose
  /** The period in which it signs, and when it was found to have leaked. */
  readonly active_at: Date
  readonly retired_at: Date | null
  readonly revoked_at: Date | null
}

/** RFC 8037. */
export function jwkOf({ publicKey, kid, purpose, activeAt, retiredAt, revokedAt }: SigningKey): Jwk {
  const period = { active_at: activeAt, retired_at: retiredAt, revoked_at: revokedAt }
  const x = publicKey.toString('base64url')
  return { kty: 'OKP', crv: 'Ed25519', x, kid, alg: 'EdDSA', use: 'sig', purpose, ...period }
}

/**
 * Whether the public key set has it. A leaked key of the audit stays, because what it signed is proven by what was sealed
 * after it. A leaked key of certificates or tokens is taken out: a reader of the set that ignores `revoked_at` would believe
 * what a thief signs.
 */
export function isPublished({ purpose, revokedAt }: SigningKey): boolean {
  return revokedAt === null || purpose === 'audit_head'
}

export function publicKeyOf({ publicKey }: SigningKey): KeyObject {
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey.toString('base64url') }, format: 'jwk' })
}

/** Signs compact JWS (RFC 7515, 7.1) with one key. */
export interface Signer {
  readonly kid: string
  sign(payload: Readonly<Record<string, unknown>>, header: { readonly typ: string }): string
}

/**
 * At once and in this turn: node:crypto's `sign` takes 36 µs of the processor, WebCrypto 44, a JOSE library on top of that 65
 * (measured on 2 cores), and an act that is certified signs between its lock and its save, where nobody should wait.
 */
export function createSigner({ kid, publicKey }: SigningKey, secret: string): Signer {
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: publicKey.toString('base64url'), d: secret }
  const key = createPrivateKey({ key: jwk, format: 'jwk' })
  const headers = new Map<string, string>()
  return {
    kid,
    sign: (payload, { typ }) => {
      const header = headers.get(typ) ?? encodeJson(headerOf(typ, kid))
      headers.set(typ, header)
      const signed = `${header}.${encodeJson(payload)}`
      return `${signed}.${sign(null, Buffer.from(signed, 'latin1'), key).toString('base64url')}`
    },
  }
}

function headerOf(typ: string, kid: string): Readonly<Record<string, string>> {
  return { alg: 'EdDSA', typ, kid }
}

export function encodeJson(value: unknown): string {
  return Buffer.from(JSON.stringify(value), 'utf8').toString('base64url')
}

/** The parts of a compact JWS; null when it is spelled in another way than this service's. */
export function splitJws(jws: string) {
  const [header = '', payload = '', encoded = '', ...more] = jws.split('.')
  const signature = Buffer.from(encoded, 'base64url')
  // One spelling only: Node's decoder passes over padding, spaces and loose bits.
  if (more.length > 0 || signature.toString('base64url') !== encoded) return null
  return { header, payload, signature, signed: `${header}.${payload}` }
}

/** The key id of a header that is, byte for byte, the one that this service writes for it. */
export function kidOf(header: string, typ: string): string | null {
  const [, kid] = /"kid":"([A-Za-z0-9_-]{43})"/.exec(Buffer.from(header, 'base64url').toString('latin1')) ?? []
  return kid !== undefined && header === encodeJson(headerOf(typ, kid)) ? kid : null
}

/** RFC 7638 over the members that RFC 8037 names, in the order of their names. */
function thumbprint(publicKey: Buffer): string {
  return hash('sha256', `{"crv":"Ed25519","kty":"OKP","x":"${publicKey.toString('base64url')}"}`, 'base64url')
}
