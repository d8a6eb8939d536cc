import * as oidc from 'openid-client'
import { refusalIn } from '../../outbound/transport-errors.ts'
import { createBoundedMap } from '../../platform/bounded-map.ts'
import type { Clock } from '../../platform/clock.ts'
import { hashSecretToken } from '../secret-token.ts'
import { type Claims, valuesOf } from './claims.ts'
import { isSecureUrl } from './provider.ts'
import { type ProviderFetch, replyTooLong } from './provider-http.ts'

/** How this installation is known to one provider. */
export interface Party {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string | null
}

export interface Expected {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
}

/** Why a provider's answer does not count. */
export type ProviderFailure = Error & {
  /** A word for the log and the audit, never the provider's own text. */
  readonly reason: string
  readonly isOurs: boolean
  /** The sentence that says why it may not be called; null when it may. */
  readonly refusal: string | null
}

export interface OidcClient {
  /** Fetches what the provider says of itself. Rejects with a ProviderFailure when it is not the issuer it is taken for. */
  discover(party: Party): Promise<void>
  /** Where to send the browser. `anew`: the person must prove themselves again, even if the provider remembers them. */
  authorizationUrl(
    party: Party,
    scopes: readonly string[],
    redirectUri: string,
    expected: Expected,
    anew?: boolean,
  ): Promise<URL>
  /**
   * What the provider says of the person, once `answer`, the address that the browser came back to, is proven to be its
   * answer to this flow. `wanted` are claims that may be worth a call to the userinfo endpoint.
   */
  claims(party: Party, answer: URL, expected: Expected, wanted: readonly string[]): Promise<Claims>
}

/** Public-key signatures only (RFC 8725, 3.1): a MAC under the client's secret could be made by anybody who reads the secret here. */
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

const discoveredForMs = 300_000
const timeoutSeconds = 10
const maxDiscovered = 200
/** Of one claim, such as groups. */
export const maxClaimValues = 1_000

interface Discovered {
  readonly metadata: Promise<oidc.ServerMetadata>
  readonly until: number
}

/** OpenID Connect's code flow with PKCE (S256), nonce, state and the issuer of the answer (RFC 9207). */
export function createOidcClient({
  fetch,
  clock,
}: {
  readonly fetch: ProviderFetch
  readonly clock: Clock
}): OidcClient {
  const known = createBoundedMap<string, Discovered>(maxDiscovered)
  const customFetch = fetch as oidc.CustomFetch

  const fetchMetadata = async (party: Party): Promise<oidc.ServerMetadata> => {
    const found = await oidc
      .discovery(new URL(party.issuer), party.clientId, undefined, oidc.None(), {
        [oidc.customFetch]: customFetch,
        timeout: timeoutSeconds,
        execute: isHttp(party) ? [oidc.allowInsecureRequests] : [],
      })
      .catch((error: unknown) => {
        throw causes(error).some((cause) => saysIssuer(cause, withOtherSlash(party.issuer)))
          ? failure('issuer_slash')
          : error
      })
    const metadata = found.serverMetadata()
    // The library accepts Entra's "common" issuer, which means any tenant, and an extra or missing slash.
    if (metadata.issuer !== party.issuer) {
      throw failure(metadata.issuer === withOtherSlash(party.issuer) ? 'issuer_slash' : 'issuer_differs')
    }
    return usable(metadata)
  }

  const metadataOf = (party: Party): Promise<oidc.ServerMetadata> => {
    const now = performance.now()
    const remembered = known.get(party.issuer)
    if (remembered !== undefined && remembered.until > now) return remembered.metadata
    const metadata = fetchMetadata(party)
    known.set(party.issuer, { metadata, until: now + discoveredForMs })
    // A failure is not remembered: the next caller asks again.
    metadata.catch(() => known.get(party.issuer)?.metadata === metadata && known.delete(party.issuer))
    return metadata
  }

  /** A new one each time: it remembers the provider's keys, and a sign-in is rare enough to ask for the current ones. */
  const configurationOf = async (party: Party): Promise<oidc.Configuration> => {
    const metadata = await metadataOf(party)
    const skew = Math.round((clock.now().getTime() - Date.now()) / 1_000)
    const configuration = new oidc.Configuration(
      metadata,
      party.clientId,
      { [oidc.clockSkew]: skew, [oidc.clockTolerance]: 30 },
      authenticationOf(party, metadata),
    )
    configuration[oidc.customFetch] = customFetch
    configuration.timeout = timeoutSeconds
    if (isHttp(party)) oidc.allowInsecureRequests(configuration)
    // Otherwise the library would rely on the token endpoint's TLS and not check the signature of the ID token.
    oidc.enableNonRepudiationChecks(configuration)
    return configuration
  }

  return {
    discover: (party) => asProviderFailure(async () => void (await fetchMetadata(party))),

    authorizationUrl: (party, scopes, redirectUri, { state, nonce, verifier }, anew = false) =>
      asProviderFailure(async () =>
        oidc.buildAuthorizationUrl(await configurationOf(party), {
          response_type: 'code',
          redirect_uri: redirectUri,
          scope: ['openid', ...scopes].join(' '),
          state,
          nonce,
          code_challenge: hashSecretToken(verifier).toString('base64url'),
          code_challenge_method: 'S256',
          // The provider then says when the person signed in there (OpenID Connect Core, 3.1.2.1).
          ...(anew ? { max_age: '0' } : {}),
        }),
      ),

    claims: (party, answer, { state, nonce, verifier }, wanted) =>
      asProviderFailure(async () => {
        const configuration = await configurationOf(party)
        const tokens = await oidc.authorizationCodeGrant(configuration, answer, {
          expectedState: state,
          expectedNonce: nonce,
          pkceCodeVerifier: verifier,
          idTokenExpected: true,
        })
        const inToken = tokens.claims()
        if (inToken === undefined || !isSubject(inToken.sub)) throw failure('subject_unfit')
        if (inToken.azp !== undefined && inToken.azp !== party.clientId) throw failure('other_client')
        const lacks = wanted.some((name) => !(name in inToken))
        const more =
          lacks && configuration.serverMetadata().userinfo_endpoint !== undefined
            ? await oidc.fetchUserInfo(configuration, tokens.access_token, inToken.sub)
            : {}
        const claims = { subject: inToken.sub, all: { ...more, ...inToken } }
        if (wanted.some((name) => valuesOf(claims, name).length > maxClaimValues)) throw failure('too_many_values')
        return claims
      }),
  }
}

/** Longer ones are no addresses, and a browser or a proxy would refuse them. */
const maxEndpointLength = 2_000

/** What is used of a provider's metadata, checked: the rest may be 128 KiB of anything, and would stay in memory. */
function usable(given: oidc.ServerMetadata): oidc.ServerMetadata {
  const endpoint = (name: 'authorization_endpoint' | 'token_endpoint' | 'jwks_uri' | 'userinfo_endpoint') => {
    const url: unknown = given[name]
    if (typeof url !== 'string' || !URL.canParse(url)) throw failure('metadata_incomplete')
    if (url.length > maxEndpointLength) throw failure('metadata_malformed')
    if (!isSecureUrl(new URL(url))) throw failure('metadata_insecure')
    return { [name]: url }
  }
  const list = (name: 'id_token_signing_alg_values_supported' | 'token_endpoint_auth_methods_supported') => {
    const values: unknown = given[name] ?? null
    if (values !== null && !(Array.isArray(values) && values.every((value) => typeof value === 'string'))) {
      throw failure('metadata_malformed')
    }
    return values as readonly string[] | null
  }
  const offered = list('id_token_signing_alg_values_supported') ?? ['RS256']
  const signing = algorithms.filter((algorithm) => offered.includes(algorithm))
  if (signing.length === 0) throw failure('metadata_algorithms')
  const methods = list('token_endpoint_auth_methods_supported') ?? ['client_secret_basic']
  return {
    issuer: given.issuer,
    ...endpoint('authorization_endpoint'),
    ...endpoint('token_endpoint'),
    ...endpoint('jwks_uri'),
    ...(given.userinfo_endpoint == null ? {} : endpoint('userinfo_endpoint')),
    id_token_signing_alg_values_supported: signing,
    token_endpoint_auth_methods_supported: secretMethods.filter((method) => methods.includes(method)),
    authorization_response_iss_parameter_supported: given.authorization_response_iss_parameter_supported === true,
  }
}

const secretMethods = ['client_secret_basic', 'client_secret_post']

/** Well-formed, because the database would store every lone surrogate as the same character (OpenID Connect Core, 2). */
function isSubject(sub: string): boolean {
  return sub.length >= 1 && sub.length <= 255 && sub.isWellFormed() && !sub.includes('\0')
}

/** The issuer as people mistype it: with a slash at the end where there is none, or without it. */
export function withOtherSlash(issuer: string): string {
  return issuer.endsWith('/') ? issuer.slice(0, -1) : `${issuer}/`
}

function saysIssuer(cause: unknown, issuer: string): boolean {
  return (cause as { body?: { issuer?: unknown } }).body?.issuer === issuer
}

function isHttp(party: Party): boolean {
  return party.issuer.startsWith('http:')
}

/** As the provider says it takes a secret; by Basic where it says nothing (OpenID Connect Discovery, 3). */
function authenticationOf({ clientSecret }: Party, metadata: oidc.ServerMetadata): oidc.ClientAuth {
  if (clientSecret === null) return oidc.None()
  const [method] = metadata.token_endpoint_auth_methods_supported ?? []
  return method === 'client_secret_post' ? oidc.ClientSecretPost(clientSecret) : oidc.ClientSecretBasic(clientSecret)
}

async function asProviderFailure<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (isFailure(error)) throw error
    const refusal = causes(error)
      .map(refusalIn)
      .find((found) => found !== null)
    throw refusal === undefined
      ? failure(reasonOf(error), isUnreachable(error))
      : failure('target_refused', true, refusal)
  }
}

/** `isOurs`: the provider did not reply; the person did nothing wrong and can try again. */
function failure(reason: string, isOurs = false, refusal: string | null = null): ProviderFailure {
  return Object.assign(new Error(`the identity provider's answer was not accepted: ${reason}`), {
    reason,
    isOurs,
    refusal,
  })
}

export function isFailure(error: unknown): error is ProviderFailure {
  return error instanceof Error && 'reason' in error && 'isOurs' in error
}

/** Never a message or a cause: they hold tokens, codes, and words that the provider chose. */
function reasonOf(error: unknown): string {
  if (error instanceof oidc.AuthorizationResponseError) return `answered_${word(error.error)}`
  if (error instanceof oidc.ResponseBodyError) return `token_endpoint_${word(error.error)}`
  if (error instanceof oidc.WWWAuthenticateChallengeError) return 'client_not_accepted'
  const chain = causes(error)
  const claim = chain.flatMap((cause) => (hasClaim(cause) ? [`_${word(cause.claim)}`] : []))[0] ?? ''
  const codes = chain.flatMap((cause) => (hasCode(cause) ? [word(cause.code)] : []))
  return `${codes[0] ?? (chain.some(isTimeout) ? 'timeout' : 'malformed')}${claim}`
}

function isUnreachable(error: unknown): boolean {
  if (error instanceof oidc.AuthorizationResponseError)
    return ['server_error', 'temporarily_unavailable'].includes(error.error)
  if (error instanceof oidc.ResponseBodyError) return error.status >= 500
  const chain = causes(error)
  if (chain.some((cause) => hasCode(cause) && cause.code === replyTooLong)) return false
  if (chain.some((cause) => cause instanceof Response && cause.status >= 500)) return true
  // The library's own codes say what is wrong with an answer, and so does an error without one, as of a header that cannot be
  // sent or a key that cannot be read; all others say that there was no answer.
  const codes = chain.flatMap((cause) => (hasCode(cause) ? [cause.code] : []))
  if (codes.some((code) => /^OAUTH_(?!TIMEOUT|ABORT)/.test(code))) return false
  return codes.some((code) => !code.startsWith('ERR_INVALID_')) || chain.some(isTimeout)
}

function causes(error: unknown): readonly unknown[] {
  const chain: unknown[] = []
  for (let at = error; at != null && chain.length < 6; at = (at as { cause?: unknown }).cause) chain.push(at)
  return chain
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && ['TimeoutError', 'AbortError'].includes(error.name)
}

function hasCode(error: unknown): error is { readonly code: string } {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
}

function hasClaim(error: unknown): error is { readonly claim: string } {
  return typeof error === 'object' && error !== null && 'claim' in error && typeof error.claim === 'string'
}

function word(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9_]/g, '_')
    .slice(0, 60)
}
