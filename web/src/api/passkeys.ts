import type { Schemas } from './schemas.ts'

type Ceremony = Schemas['PasskeyCeremony']

/** The browser asked the person, and they declined, or took too long. It says so of nothing else, to protect them. */
export class PasskeyDeclined extends Error {}

async function asked<T>(ceremony: Promise<T>): Promise<T> {
  try {
    return await ceremony
  } catch (error) {
    if (error instanceof DOMException) throw new PasskeyDeclined(error.message)
    throw error
  }
}

export const passkeysWork = (): boolean =>
  typeof PublicKeyCredential === 'function' && 'parseRequestOptionsFromJSON' in PublicKeyCredential

/** Has a passkey sign what the service wants signed. */
export async function signWithPasskey(options: Ceremony): Promise<Schemas['PasskeyAssertion']> {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(
    options as unknown as PublicKeyCredentialRequestOptionsJSON,
  )
  const credential = (await asked(navigator.credentials.get({ publicKey }))) as PublicKeyCredential
  return credential.toJSON() as unknown as Schemas['PasskeyAssertion']
}

/** Makes a new passkey on this device, or where the person says. */
export async function makePasskey(options: Ceremony): Promise<Schemas['PasskeyRegistration']> {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(
    options as unknown as PublicKeyCredentialCreationOptionsJSON,
  )
  const credential = (await asked(navigator.credentials.create({ publicKey }))) as PublicKeyCredential
  return credential.toJSON() as unknown as Schemas['PasskeyRegistration']
}
