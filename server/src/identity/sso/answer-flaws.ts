import { maxClaimValues } from './oidc-client.ts'
import { defaultMaxReplyBytes, replyTooLong } from './provider-http.ts'

const client = 'client_id and client secret must be the same there and here'
const jsonOnly = 'its discovery document, its key set, its token and userinfo endpoints must reply 200 with JSON'

/** What the administrator of the provider can change, by how the reason in the audit begins. */
const flaws: readonly (readonly [reason: string, flaw: string])[] = [
  [
    'subject_unfit',
    'names you by a subject that cannot be used: it must have 1 to 255 well-formed characters and no NUL',
  ],
  ['other_client', 'made this answer for another client (azp): start again from here'],
  [
    'too_many_values',
    `sent more than ${maxClaimValues} values in one claim: its administrator must send only the groups that matter here`,
  ],
  [
    replyTooLong,
    `sent an answer longer than ${defaultMaxReplyBytes / 1024} KiB: its administrator must send fewer groups`,
  ],
  ['target_refused', 'is at an address that this service may not call: its operator can allow it with SSO_ALLOW'],
  ['issuer_', 'no longer names itself as it is configured here: issuer must be the same there and here'],
  ['metadata_insecure', 'has a discovery document with an endpoint that is not https'],
  ['metadata_algorithms', 'signs ID tokens with no public-key algorithm, such as RS256 or ES256: choose one there'],
  [
    'metadata_',
    'has an unfit discovery document: authorization_endpoint, token_endpoint and jwks_uri must be URLs, and lists must be lists',
  ],
  ['client_not_accepted', `does not accept this service: ${client}`],
  ['token_endpoint_invalid_client', `does not accept this service: ${client}`],
  ['token_endpoint_unauthorized_client', 'does not allow this client the authorization code flow: allow it there'],
  ['token_endpoint_invalid_grant', 'did not accept its own code: the client there must allow PKCE with S256'],
  ['answered_unauthorized_client', 'does not allow this client the authorization code flow: allow it there'],
  ['answered_unsupported_response_type', 'does not allow this client the authorization code flow: allow it there'],
  ['answered_invalid_scope', 'does not allow a scope that is asked for: allow it there, or remove it from scopes here'],
  [
    'oauth_jwt_timestamp_check_failed',
    'made an ID token that is not valid now: its clock must be right to 30 s, and exp later than iat',
  ],
  ['oauth_jwt_claim_comparison_failed_nonce', 'must return the nonce of the request in its ID token'],
  ['oauth_jwt_claim_comparison_failed_aud', `made an ID token for another client (aud): ${client}`],
  ['oauth_jwt_claim_comparison_failed_iss', 'names another issuer in its ID token than in its discovery document'],
  [
    'oauth_json_attribute_comparison_failed',
    'speaks of another person (sub) at its userinfo endpoint than in its ID token, or of another issuer',
  ],
  [
    'oauth_key_selection_failed',
    'signed with a key that is not in its key set (jwks_uri) exactly once, under the kid of the ID token',
  ],
  ['oauth_jwt_userinfo_expected', 'must send its userinfo as JSON, not signed'],
  ['oauth_response_is_not_', `sent a reply that cannot be used: ${jsonOnly}`],
  ['oauth_parse_error', `sent a reply that cannot be used: ${jsonOnly}`],
  ['malformed', `sent a reply that cannot be used: ${jsonOnly}`],
  [
    'oauth_unsupported_operation',
    'used an algorithm or a key that is not supported: sign with RS256, PS256, ES256 or EdDSA and a common key length',
  ],
  [
    'oauth_invalid_response',
    'sent an answer that breaks OpenID Connect: an ID token must be signed with a key of its key set and an algorithm it announces, ' +
      'and members must have their types',
  ],
]

/** A sentence for the person to hand on; null where nothing but another try can help. */
export function answerFlaw(reason: string): string | null {
  const flaw = flaws.find(([begin]) => reason.startsWith(begin))?.[1]
  return flaw === undefined ? null : `Your identity provider ${flaw}.`
}
