import { Type } from 'typebox'
import { createdAt, id, line, noNul, nullable, sha256Hex, time } from '../../http/schema-parts.ts'
import { says } from '../../platform/validation.ts'

const inBase64url = 'must be base64url, as the browser made it'
const base64url = (maxLength: number, description: string) =>
  Type.String({
    maxLength,
    pattern: says('^[A-Za-z0-9_-]*={0,2}$', inBase64url),
    description: `${description}, in base64url.`,
  })

// A credential's id has at most 1 023 bytes (WebAuthn, 4).
const credentialId = Type.String({
  minLength: 1,
  maxLength: 1_400,
  pattern: says('^[A-Za-z0-9_-]+$', inBase64url),
  description: "The passkey's id, in base64url.",
})

/** As `PublicKeyCredential.toJSON()` of a browser gives it, which adds members that are not read here. */
const credential = {
  id: credentialId,
  rawId: credentialId,
  type: Type.Literal('public-key', { description: 'Always the same.' }),
}
const free = { additionalProperties: true }

export const assertionSchema = Type.Object(
  {
    ...credential,
    response: Type.Object(
      {
        clientDataJSON: base64url(16_384, 'What the browser signed for'),
        authenticatorData: base64url(16_384, 'What the authenticator says'),
        signature: base64url(16_384, 'Its signature'),
        userHandle: Type.Optional(nullable(base64url(128, 'Whose passkey it is'))),
      },
      { ...free, title: 'PasskeyAssertionResponse', description: 'What the authenticator gave.' },
    ),
  },
  {
    ...free,
    title: 'PasskeyAssertion',
    description: 'What navigator.credentials.get() returned, as its toJSON() gives it.',
  },
)

export const registrationSchema = Type.Object(
  {
    ...credential,
    response: Type.Object(
      {
        clientDataJSON: base64url(16_384, 'What the browser signed for'),
        attestationObject: base64url(131_072, 'The new public key'),
        transports: Type.Optional(
          Type.Array(Type.String({ maxLength: 32 }), { maxItems: 10, description: 'How it can be reached.' }),
        ),
      },
      { ...free, title: 'PasskeyRegistrationResponse', description: 'What the authenticator gave.' },
    ),
  },
  {
    ...free,
    title: 'PasskeyRegistration',
    description: 'What navigator.credentials.create() returned, as its toJSON() gives it.',
  },
)

/** Passed on to the browser as they are (parseCreationOptionsFromJSON, parseRequestOptionsFromJSON). */
export const ceremonyOptionsSchema = Type.Object(
  { challenge: Type.String({ description: 'What is to be signed.' }) },
  {
    additionalProperties: true,
    title: 'PasskeyCeremony',
    description: 'For navigator.credentials, as its parse…OptionsFromJSON() takes them.',
  },
)

export const exampleAssertionOptions = {
  challenge: 'NlXb3fpbAd7zBOyAIwWBW6BRzbcXbYjyPM8oO6YLgmM',
  rpId: 'hitl.example.com',
  timeout: 300_000,
  userVerification: 'required',
}

export const exampleRegistrationOptions = {
  challenge: 'NlXb3fpbAd7zBOyAIwWBW6BRzbcXbYjyPM8oO6YLgmM',
  rp: { id: 'hitl.example.com', name: 'HITL' },
  user: { id: 'AYkPPlwqe7uKO18dLDtKWQ', name: 'reviewer@example.com', displayName: 'reviewer@example.com' },
  pubKeyCredParams: [{ alg: -7, type: 'public-key' }],
  authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
  timeout: 300_000,
  attestation: 'none',
  excludeCredentials: [],
}

const exampleCredential = { id: 'x7Jv1pR9', rawId: 'x7Jv1pR9', type: 'public-key' }
export const exampleAssertion = {
  ...exampleCredential,
  response: { clientDataJSON: 'eyJ0eXBlIjoi', authenticatorData: 'SZYN5YgO', signature: 'MEUCIQDx' },
}
export const exampleRegistration = {
  ...exampleCredential,
  response: { clientDataJSON: 'eyJ0eXBlIjoi', attestationObject: 'o2NmbXRk', transports: ['internal'] },
}

const lastUsedAt = nullable(time('When it was last used.'))
export const totpSchema = Type.Object(
  { id, created_at: createdAt, last_used_at: lastUsedAt },
  { $id: 'AuthenticatorApp', title: 'AuthenticatorApp', description: 'An authenticator app.' },
)
export const exampleTotp = {
  id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a61',
  created_at: '2026-01-31T09:00:00.000Z',
  last_used_at: '2026-01-31T09:01:00.000Z',
}

export const passkeySchema = Type.Object(
  {
    id,
    name: Type.String({ description: 'What the person calls it.' }),
    is_backed_up: Type.Boolean({ description: 'Whether it is kept in a cloud account and so outlives its device.' }),
    created_at: createdAt,
    last_used_at: lastUsedAt,
  },
  { $id: 'Passkey', title: 'Passkey' },
)
export const examplePasskey = {
  id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a62',
  name: 'Work laptop',
  is_backed_up: false,
  created_at: '2026-01-31T09:00:00.000Z',
  last_used_at: null,
}

export const factorsSchema = Type.Object(
  {
    second_factor: Type.Boolean({ description: 'Whether signing in asks for a second factor.' }),
    totp: nullable(Type.Ref('AuthenticatorApp')),
    passkeys: Type.Array(Type.Ref('Passkey'), { description: 'Oldest first.' }),
    recovery_codes: nullable(
      Type.Object(
        { remaining: Type.Integer({ description: 'Unused ones.' }), created_at: createdAt },
        { title: 'RecoveryCodesState', description: 'null: there are none.' },
      ),
    ),
  },
  { $id: 'Factors', title: 'Factors' },
)
export const exampleFactors = {
  second_factor: true,
  totp: exampleTotp,
  passkeys: [examplePasskey],
  recovery_codes: { remaining: 10, created_at: '2026-01-31T09:02:00.000Z' },
}

export const totpEnrolmentSchema = Type.Object(
  {
    id,
    secret: Type.String({ description: 'Base 32, for people who cannot scan the QR code. Shown only once.' }),
    uri: Type.String({ description: 'The otpauth:// URI that the QR code holds. Shown only once.' }),
    expires_at: time('It can be confirmed until then.'),
  },
  { $id: 'AuthenticatorAppEnrolment', title: 'AuthenticatorAppEnrolment' },
)
export const exampleEnrolment = {
  id: exampleTotp.id,
  secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP',
  uri: 'otpauth://totp/HITL:reviewer%40example.com?issuer=HITL&secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&algorithm=SHA1&digits=6&period=30',
  expires_at: '2026-01-31T09:10:00.000Z',
}

const code = Type.String({ minLength: 6, maxLength: 64, description: 'An authenticator code or a recovery code.' })
export const confirmTotpBody = Type.Object({ code }, { title: 'AuthenticatorAppConfirmation' })

const passkeyName = line({ maxLength: 100, description: 'What the person calls it.' })
export const addPasskeyBody = Type.Object(
  { name: Type.Optional(passkeyName), credential: registrationSchema },
  { title: 'CreatePasskey' },
)
export const renamePasskeyBody = Type.Object({ name: passkeyName }, { title: 'PasskeyChanges' })

export const recoveryCodesSchema = Type.Object(
  { codes: Type.Array(Type.String(), { description: 'Each works once. Shown only once; hashes are kept.' }) },
  { $id: 'RecoveryCodes', title: 'RecoveryCodes' },
)
export const exampleRecoveryCodes = { codes: ['7ZK4-9Q2M-XH0B-6RTD-W3E8-N1CP'] }

const digest = Type.String({
  maxLength: 64,
  pattern: sha256Hex,
  description: 'The `digest` in the 403 `auth.step_up_required` of the refused call.',
})
export const exampleDigest = '2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae'

const proof = {
  code: Type.Optional(code),
  assertion: Type.Optional(assertionSchema),
}

export const stepUpBody = Type.Object(
  {
    digest,
    method: Type.Enum(['passkey', 'totp', 'recovery_code', 'password'], {
      title: 'ProofMethod',
      description: 'With what it is proven.',
    }),
    ...proof,
    password: Type.Optional(Type.String({ maxLength: 1_000, pattern: noNul, description: 'For the method password.' })),
  },
  { title: 'StepUpInput' },
)
export const stepUpOptionsBody = Type.Object({ digest }, { title: 'StepUpOptionsInput' })

export const stepUpSchema = Type.Object(
  {
    step_up: Type.String({ description: 'Send it in the X-Step-Up header of that one call.' }),
    expires_at: time('It can be used until then.'),
  },
  { $id: 'StepUp', title: 'StepUp' },
)
export const exampleStepUp = {
  step_up: 'R0o3c1dLZmVtV2p3b0t5Q2VmTzZ0b3hGZ2VjV2pBNTg',
  expires_at: '2026-01-31T09:05:00.000Z',
}

const challenge = Type.String({
  maxLength: 43,
  pattern: says('^[A-Za-z0-9_-]{43}$', 'must be the challenge of this sign-in, unchanged'),
  description: 'The `challenge` in the 401 `auth.second_factor_required` of POST /auth/login.',
})
export const exampleChallenge = '3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'

const sessionCookie = Type.Optional(
  Type.Boolean({ description: 'For browsers: also set a cookie with which POST /auth/refresh renews the session.' }),
)

export const secondFactorBody = Type.Object(
  {
    challenge,
    method: Type.Enum(['passkey', 'totp', 'recovery_code'], {
      title: 'SecondFactorMethod',
      description: 'Which factor.',
    }),
    ...proof,
    session_cookie: sessionCookie,
  },
  { title: 'SecondFactor' },
)
export const passkeyOptionsBody = Type.Object({ challenge: Type.Optional(challenge) }, { title: 'PasskeyOptionsInput' })
export const passkeySignInBody = Type.Object(
  { assertion: assertionSchema, session_cookie: sessionCookie },
  { title: 'PasskeySignIn' },
)
