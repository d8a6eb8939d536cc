import { invalid } from '../../platform/problem.ts'
import type { AuthenticationResponseJSON, RegistrationResponseJSON } from './passkeys/passkey.ts'
import type { Proof } from './proofs.ts'

/** A passkey's reply as it came, checked against its schema. */
export interface CredentialInput<Response> {
  readonly id: string
  readonly rawId: string
  readonly type: 'public-key'
  readonly response: Response
}

export type AssertionInput = CredentialInput<{
  readonly clientDataJSON: string
  readonly authenticatorData: string
  readonly signature: string
  readonly userHandle?: string | null
}>

export type RegistrationInput = CredentialInput<{
  readonly clientDataJSON: string
  readonly attestationObject: string
  readonly transports?: string[]
}>

interface ProofInput<Method extends Proof['method']> {
  readonly method: Method
  readonly code?: string
  readonly password?: string
  readonly assertion?: AssertionInput
}

/** The proof of a body that names its method and brings what the method needs. Throws 422 when it does not. */
export function proofOf<Method extends Proof['method']>(body: ProofInput<Method>): Extract<Proof, { method: Method }>
export function proofOf({ method, code, password, assertion }: ProofInput<Proof['method']>): Proof {
  switch (method) {
    case 'password':
      if (password === undefined) throw missing('password', method)
      return { method, password }
    case 'passkey':
      if (assertion === undefined) throw missing('assertion', method)
      return { method, assertion: assertionOf(assertion) }
    default:
      if (code === undefined) throw missing('code', method)
      return { method, code }
  }
}

function missing(field: string, method: string) {
  return invalid(field, `is required for the method ${method}`)
}

export function assertionOf({ id, rawId, type, response }: AssertionInput): AuthenticationResponseJSON {
  const { clientDataJSON, authenticatorData, signature, userHandle } = response
  return {
    id,
    rawId,
    type,
    clientExtensionResults: {},
    response: { clientDataJSON, authenticatorData, signature, ...(userHandle == null ? {} : { userHandle }) },
  }
}

export function registrationOf({ id, rawId, type, response }: RegistrationInput): RegistrationResponseJSON {
  const { clientDataJSON, attestationObject, transports = [] } = response
  return {
    id,
    rawId,
    type,
    clientExtensionResults: {},
    response: { clientDataJSON, attestationObject, transports },
  }
}
