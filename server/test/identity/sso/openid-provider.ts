import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type JWTPayload, SignJWT } from 'jose'
import { errors, Provider } from 'oidc-provider'

export const clientId = 'hitl'
export const clientSecret = 'a client secret, long enough: / + % :'

/** The person who signs in at the provider, and their claims. */
export interface ProvidedPerson {
  readonly sub: string
  readonly [claim: string]: unknown
}

export interface IssuedToken {
  readonly header: Readonly<Record<string, unknown>>
  readonly payload: JWTPayload
}

export interface OpenIdProvider {
  readonly issuer: string
  readonly keyId: string
  readonly privateKey: KeyObject
  /** The paths that were called, in order, without those of the browser. */
  readonly calls: readonly string[]
  readonly redirectUris: readonly string[]
  /** The redirect addresses that it accepts. */
  register(...redirectUris: readonly string[]): void
  signsIn(person: ProvidedPerson): void
  /** Acts as a browser at the provider: signs in, consents, and returns the address that it is sent back to. */
  visit(authorizationUrl: string): Promise<URL>
  /** Replaces the next ID tokens with the result of this function; null leaves them unchanged. */
  forge(replace: ((issued: IssuedToken) => Promise<string> | string) | null): void
  /** Replaces the next replies on a path; null leaves them unchanged. */
  replace(path: string, reply: ((response: ServerResponse) => void) | null): void
  /** An ID token with these claims and a valid signature. */
  sign(payload: Readonly<Record<string, unknown>>, header?: Readonly<Record<string, unknown>>): Promise<string>
  /** Makes new signing keys and removes the old ones from the key set. */
  rotateKeys(): void
  close(): Promise<void>
}

/** A certified provider, by the same author as the client library, on loopback with keys of its own. */
export async function startOpenIdProvider(
  options: { readonly claimsInIdToken?: boolean; readonly secret?: boolean; readonly saysIssuer?: boolean } = {},
): Promise<OpenIdProvider> {
  const { claimsInIdToken = true, secret = true, saysIssuer = true } = options
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const calls: string[] = []
  const replacements = new Map<string, (response: ServerResponse) => void>()
  let person: ProvidedPerson = { sub: 'nobody' }
  let redirectUris: readonly string[] = ['https://hitl.example.com/none']
  let forgery: Parameters<OpenIdProvider['forge']>[0] = null
  let keys = makeKeys(1)
  let provider: Provider
  let handle: (request: IncomingMessage, response: ServerResponse) => void

  const build = (): void => {
    provider = new Provider(issuer, {
      clients: [
        {
          client_id: clientId,
          ...(secret ? { client_secret: clientSecret } : {}),
          redirect_uris: [...redirectUris],
          token_endpoint_auth_method: secret ? 'client_secret_basic' : 'none',
        },
      ],
      jwks: {
        keys: [{ ...keys.privateKey.export({ format: 'jwk' }), kid: keys.id, use: 'sig', alg: 'RS256' } as never],
      },
      cookies: { keys: ['only for this test'] },
      scopes: ['openid', 'email', 'profile', 'groups'],
      claims: { email: ['email', 'email_verified'], profile: ['name'], groups: ['groups', 'realm_access'] },
      conformIdTokenClaims: !claimsInIdToken,
      pkce: { required: () => true },
      features: { devInteractions: { enabled: false } },
      interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
      findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ ...person, sub }) }),
    })
    provider.on('server_error', (_ctx, error) => {
      throw error
    })
    handle = provider.callback() as never
  }
  build()

  const interact = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const grant = new provider.Grant({ accountId: person.sub, clientId })
    grant.addOIDCScope('openid email profile groups')
    const result = { login: { accountId: person.sub }, consent: { grantId: await grant.save() } }
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
  }

  server.on('request', (request, response) => {
    const path = new URL(request.url ?? '/', issuer).pathname
    if (path.startsWith('/interaction/')) {
      interact(request, response).catch((error: unknown) => {
        assert.ok(error instanceof errors.OIDCProviderError, String(error))
        response.writeHead(500).end()
      })
      return
    }
    if (!path.startsWith('/auth')) calls.push(path)
    const replacement = replacements.get(path)
    if (replacement !== undefined) return replacement(response)
    if (path === '/token' && forgery !== null) forgeReply(response, forgery)
    if (path === '/.well-known/openid-configuration' && !saysIssuer) hideIssuerPromise(response)
    handle(request, response)
  })

  return {
    issuer,
    get keyId() {
      return keys.id
    },
    get privateKey() {
      return keys.privateKey
    },
    calls,
    get redirectUris() {
      return redirectUris
    },
    register: (...uris) => {
      redirectUris = uris
      build()
    },
    signsIn: (next) => {
      person = next
    },
    visit: (authorizationUrl) => visit(issuer, authorizationUrl),
    forge: (replace) => {
      forgery = replace
    },
    replace: (path, reply) => void (reply === null ? replacements.delete(path) : replacements.set(path, reply)),
    sign: (payload, header = {}) =>
      new SignJWT(payload as JWTPayload)
        .setProtectedHeader({ alg: 'RS256', kid: keys.id, ...header })
        .sign(keys.privateKey),
    rotateKeys: () => {
      keys = makeKeys(2)
      build()
    },
    close: async () => {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
}

function makeKeys(number: number): { readonly id: string; readonly privateKey: KeyObject } {
  return { id: `key-${number}`, privateKey: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey }
}

/** Follows the provider's redirects with its cookies until one leads to another host. */
async function visit(issuer: string, start: string): Promise<URL> {
  const cookies = new Map<string, string>()
  let url = new URL(start)
  for (let hops = 0; hops < 10; hops += 1) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const reply = await fetch(url, { redirect: 'manual', headers: { cookie } })
    for (const line of reply.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '') cookies.delete(name)
      else cookies.set(name, value)
    }
    const location = reply.headers.get('location')
    assert.ok(location !== null, `the provider did not send the browser on: ${reply.status} ${await reply.text()}`)
    url = new URL(location, url)
    if (url.origin !== issuer) return url
  }
  return assert.fail('the provider sent the browser in circles')
}

function forgeReply(response: ServerResponse, forgery: NonNullable<Parameters<OpenIdProvider['forge']>[0]>): void {
  rewrite(response, async (reply) => {
    if (typeof reply.id_token !== 'string') return reply
    const [header = '', payload = ''] = reply.id_token.split('.')
    return { ...reply, id_token: await forgery({ header: decode(header), payload: decode(payload) }) }
  })
}

/** A provider older than RFC 9207 does not announce that its answers contain `iss`. */
function hideIssuerPromise(response: ServerResponse): void {
  rewrite(response, async ({ authorization_response_iss_parameter_supported: _, ...rest }) => rest)
}

function rewrite(
  response: ServerResponse,
  change: (reply: Record<string, unknown>) => Promise<Record<string, unknown>>,
): void {
  const end = response.end.bind(response)
  response.end = ((body: string | Buffer) => {
    change(JSON.parse(String(body)) as Record<string, unknown>).then((changed) => {
      const text = JSON.stringify(changed)
      response.setHeader('content-length', Buffer.byteLength(text))
      end(text)
    })
    return response
  }) as never
}

function decode(part: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as Record<string, unknown>
}
