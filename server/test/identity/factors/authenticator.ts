import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'

/** What a test can change to see the reply refused. */
export interface Bent {
  readonly origin?: string
  /** Hashed into the authenticator data instead of the site's own id. */
  readonly rpId?: string
  readonly challenge?: string
  readonly type?: string
  readonly crossOrigin?: boolean
  /** UP 1, UV 4, BE 8, BS 16, AT 64. */
  readonly flags?: number
  readonly signCount?: number
  readonly userHandle?: string | null
  /** Signs bytes that differ from those it sends. */
  readonly badSignature?: boolean
}

const present = 1
const verified = 4
const attested = 64

/** Just enough CBOR (RFC 8949) to write a COSE key and an attestation object. */
function cbor(value: unknown): Buffer {
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value)
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)])
  if (Buffer.isBuffer(value)) return Buffer.concat([head(2, value.length), value])
  if (value instanceof Map) {
    return Buffer.concat([head(5, value.size), ...[...value].flatMap(([key, member]) => [cbor(key), cbor(member)])])
  }
  throw new TypeError('not needed here')
}

function head(major: number, argument: number): Buffer {
  if (argument < 24) return Buffer.of((major << 5) | argument)
  if (argument < 256) return Buffer.of((major << 5) | 24, argument)
  return Buffer.of((major << 5) | 25, argument >> 8, argument & 255)
}

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest()
const base64url = (data: string | Buffer) => Buffer.from(data).toString('base64url')

export type Authenticator = ReturnType<typeof createAuthenticator>

/**
 * A passkey in software: a P-256 key, a counter, and the browser around it. With `counts: false` it is a synced passkey, whose
 * counter is always 0.
 */
export function createAuthenticator(site: {
  readonly origin: string
  readonly rpId: string
  readonly counts?: boolean
}) {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
  const credentialId = randomBytes(32)
  const id = base64url(credentialId)
  let signCount = 0
  let userHandle: string | undefined

  const authData = (bent: Bent, flags: number, more: readonly Buffer[] = []): Buffer => {
    if (site.counts !== false) signCount += 1
    const count = Buffer.alloc(4)
    count.writeUInt32BE(bent.signCount ?? signCount)
    return Buffer.concat([sha256(bent.rpId ?? site.rpId), Buffer.of(bent.flags ?? flags), count, ...more])
  }

  const clientData = (type: string, challenge: string, bent: Bent): Buffer =>
    Buffer.from(
      JSON.stringify({
        type: bent.type ?? type,
        challenge: bent.challenge ?? challenge,
        origin: bent.origin ?? site.origin,
        crossOrigin: bent.crossOrigin ?? false,
      }),
    )

  return {
    id,
    /** How often it has signed. Setting it back makes it a copy. */
    get signCount() {
      return signCount
    },
    set signCount(count: number) {
      signCount = count
    },

    /** navigator.credentials.create() */
    create: (options: { readonly challenge: string; readonly user: { readonly id: string } }, bent: Bent = {}) => {
      userHandle = options.user.id
      const cose = new Map<number, unknown>([
        [1, 2],
        [3, -7],
        [-1, 1],
        [-2, Buffer.from(x, 'base64url')],
        [-3, Buffer.from(y, 'base64url')],
      ])
      const attestedData = [Buffer.alloc(16), Buffer.of(0, credentialId.length), credentialId, cbor(cose)]
      const object = new Map<string, unknown>([
        ['fmt', 'none'],
        ['attStmt', new Map()],
        ['authData', authData(bent, present | verified | attested, attestedData)],
      ])
      return {
        id,
        rawId: id,
        type: 'public-key',
        response: {
          clientDataJSON: base64url(clientData('webauthn.create', options.challenge, bent)),
          attestationObject: base64url(cbor(object)),
          transports: ['internal'],
        },
      }
    },

    /** navigator.credentials.get() */
    get: (options: { readonly challenge: string }, bent: Bent = {}) => {
      const data = authData(bent, present | verified)
      const json = clientData('webauthn.get', options.challenge, bent)
      const signed = Buffer.concat([data, sha256(bent.badSignature === true ? randomBytes(8) : json)])
      const handle = bent.userHandle === undefined ? userHandle : bent.userHandle
      return {
        id,
        rawId: id,
        type: 'public-key',
        response: {
          clientDataJSON: base64url(json),
          authenticatorData: base64url(data),
          signature: base64url(sign('sha256', signed, privateKey)),
          ...(handle === undefined ? {} : { userHandle: handle }),
        },
      }
    },
  }
}
