import { inTransaction } from '../../../platform/database/db.ts'
import { newId } from '../../../platform/ids.ts'
import { refusal } from '../../../platform/problem.ts'
import { mayFinish } from '../../accounts/open-flows.ts'
import type { Caller, Person } from '../../principal.ts'
import { type FactorDependencies, scopeOf } from '../dependencies.ts'
import { factAbout } from '../fact.ts'
import { maxPasskeys } from '../factor.ts'
import type { Ceremonies, Ceremony } from '../passkeys/ceremonies.ts'
import {
  type Passkey,
  type RegistrationOptions,
  type RegistrationResponseJSON,
  registrationOptions,
  verifyRegistration,
} from '../passkeys/passkey.ts'
import * as store from '../passkeys/store.ts'
import { assuranceJson } from '../step-up.ts'
import type { Permit } from '../step-ups/service.ts'
import { emailOf, lockAccount } from '../store.ts'
import { dropLoneRecoveryCodes } from './recovery-codes.ts'

export const passkeyNotFound = refusal(404, 'passkey.not_found', 'Passkey not found')

export const tooManyPasskeys = refusal(
  409,
  'passkey.too_many',
  `You already have ${maxPasskeys} passkeys, the maximum. Remove one that you do not use.`,
)

export const passkeyRegistered = refusal(
  409,
  'passkey.registered_already',
  'This passkey is registered already. Use it, or make another.',
)

export const passkeyRefused = refusal(
  422,
  'passkey.refused',
  'The response of the authenticator could not be verified, or came too late. Start again.',
)

export function createPasskeys({ db, clock, report }: FactorDependencies, ceremonies: Ceremonies) {
  const registrationOf = ({ accountId, sessionId }: Person): Ceremony => ({
    purpose: 'registration',
    accountId,
    boundTo: null,
    sessionId: sessionId ?? null,
  })

  return {
    /** What the browser needs to make a passkey. */
    begin: async (by: Caller<Person>, permit: Permit): Promise<RegistrationOptions> => {
      const site = ceremonies.party()
      const { accountId } = by.principal
      const { challenge, lookUp, store: keep } = ceremonies.prepare(registrationOf(by.principal))
      const { email, known } = await inTransaction(db, { ...scopeOf(by.principal), lookUp }, async (tx) => {
        await lockAccount(tx, by.principal)
        const passkeys = await store.passkeys(tx, accountId)
        if (passkeys.length >= maxPasskeys) throw tooManyPasskeys()
        const assurance = await permit.use(tx)
        await keep(tx, assurance)
        const after = { assurance: assuranceJson(assurance) }
        await report(tx, [{ ...factAbout(by, 'passkey.begun', { after }, clock.now()), digest: permit.digest }])
        return { known: passkeys, email: (await emailOf(tx, accountId)) ?? '' }
      })
      return registrationOptions(site, { accountId, email }, known, challenge)
    },

    add: async (by: Caller<Person>, response: RegistrationResponseJSON, name: string): Promise<Passkey> => {
      const site = ceremonies.party()
      const { accountId } = by.principal
      const challenge = await ceremonies.take(response, registrationOf(by.principal))
      const made = challenge === null ? null : await verifyRegistration(site, response)
      const now = clock.now()
      const added = await inTransaction(db, scopeOf(by.principal), async (tx) => {
        await lockAccount(tx, by.principal)
        const holds = challenge !== null && (await mayFinish(tx, { ...challenge, accountId }, now))
        if (made === null || !holds) {
          const reason = holds ? 'wrong' : 'challenge'
          await report(tx, [factAbout(by, 'passkey.refused', { after: { reason } }, now)])
          return null
        }
        if ((await store.passkeys(tx, accountId)).length >= maxPasskeys) throw tooManyPasskeys()
        const passkey: Passkey = { ...made, accountId, id: newId(), name, lastUsedAt: null, createdAt: now }
        if (!(await store.insertPasskey(tx, passkey))) throw passkeyRegistered()
        const assurance = challenge?.assurance == null ? null : assuranceJson(challenge.assurance)
        const after = { passkey_id: passkey.id, is_backed_up: passkey.isBackedUp, assurance }
        await report(tx, [{ ...factAbout(by, 'passkey.added', { after }, now), erasable: { name } }])
        return passkey
      })
      if (added === null) throw passkeyRefused()
      return added
    },

    rename: async (by: Caller<Person>, id: string, name: string): Promise<Passkey> => {
      const { accountId } = by.principal
      return inTransaction(db, scopeOf(by.principal), async (tx) => {
        await lockAccount(tx, by.principal)
        const before = await store.passkeyById(tx, accountId, id)
        if (before === null) throw passkeyNotFound()
        if (before.name === name) return before
        const after = { ...before, name }
        await store.renamePasskey(tx, after)
        const fact = factAbout(by, 'passkey.renamed', { after: { passkey_id: before.id } }, clock.now())
        await report(tx, [{ ...fact, erasable: { name_before: before.name, name_after: name } }])
        return after
      })
    },

    remove: async (by: Caller<Person>, id: string, permit: Permit): Promise<void> => {
      const { accountId } = by.principal
      await inTransaction(db, scopeOf(by.principal), async (tx) => {
        await lockAccount(tx, by.principal)
        const passkey = await store.passkeyById(tx, accountId, id)
        if (passkey === null) throw passkeyNotFound()
        const assurance = assuranceJson(await permit.use(tx))
        await store.deletePasskey(tx, passkey)
        const voided = await dropLoneRecoveryCodes(tx, accountId)
        const change = { before: { passkey_id: passkey.id }, after: { recovery_codes_voided: voided, assurance } }
        const fact = factAbout(by, 'passkey.removed', change, clock.now())
        await report(tx, [{ ...fact, digest: permit.digest, erasable: { name: passkey.name } }])
      })
    },
  }
}
