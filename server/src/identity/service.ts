import { readFileSync } from 'node:fs'
import type { Letters } from '../letters/service.ts'
import { createBatcher } from '../platform/batch.ts'
import type { Logger } from '../platform/log.ts'
import type { Sealer } from '../platform/secrets/sealed-text.ts'
import type { HttpSettings } from '../settings/http.ts'
import type { IdentitySettings } from '../settings/identity.ts'
import type { SecretSettings } from '../settings/secrets.ts'
import { isProduction, type ServiceSettings } from '../settings/service.ts'
import { createAccessTokens } from './access-token.ts'
import type { Deferral } from './accounts/deferred-work.ts'
import { createNewPasswordCheck } from './accounts/new-password.ts'
import { createPasswords, type Passwords } from './accounts/passwords.ts'
import { createAgents } from './agents/service.ts'
import { createSwitches } from './agents/switches.ts'
import { createKeyAuthenticator } from './api-keys/authenticate-key.ts'
import { createLeakedKeys } from './api-keys/leaked-keys.ts'
import { createRefusedCalls } from './api-keys/refused-calls.ts'
import { createApiKeys } from './api-keys/service.ts'
import { createAuthenticator, type SessionOfPerson } from './authenticate.ts'
import type { EndSessions, IdentityContext } from './context.ts'
import { relyingPartyOf } from './factors/passkeys/passkey.ts'
import { createFactors } from './factors/service.ts'
import { createInvitationMails } from './invitations/invitation-mail.ts'
import { createInvitations } from './invitations/service.ts'
import { createMembers } from './members/service.ts'
import type { DeletionAudit } from './organizations/context.ts'
import { createOrganizationDeletion } from './organizations/deletion.ts'
import { createOrganizations } from './organizations/service.ts'
import { createRecovery } from './recovery/service.ts'
import { createPeople } from './registration/service.ts'
import { createKeptReplies } from './replies/service.ts'
import { createSessions } from './sessions/service.ts'
import { createSignIn } from './sessions/sign-in.ts'
import { sessionsForAuthentication } from './sessions/store.ts'
import { createSigningKeys } from './signing-keys/service.ts'
import { stillOpens } from './sso/members/store.ts'
import { createOidcClient } from './sso/oidc-client.ts'
import { createProviderHttp } from './sso/provider-http.ts'
import { createIdentityProviders } from './sso/providers/service.ts'
import { createSsoSignIn } from './sso/sign-in.ts'
import { createTeams } from './teams/service.ts'
import * as teamStore from './teams/store.ts'
import { createAttempts } from './throttle/attempts.ts'

export interface IdentityDependencies extends IdentityContext {
  readonly secretKey: string
  readonly sealer: Sealer
  readonly log: Logger
  readonly letters: Letters
  readonly settings: IdentitySettings & SecretSettings & HttpSettings & ServiceSettings
  /** Tests bring quicker ones. */
  readonly passwords?: Passwords | undefined
  readonly deferral?: Deferral | undefined
  /** What the audit has to do with the end of an organization. */
  readonly auditAtTheEnd: DeletionAudit
}

export type Identity = ReturnType<typeof createIdentity>

/** Connects the rooms of identity: who there is, how they prove it, and what they may do. */
export function createIdentity(dependencies: IdentityDependencies) {
  const { db, clock, report, log, secretKey, sealer, letters, settings, passwords = createPasswords() } = dependencies
  const { publicUrl, REGISTRATION: registration } = settings
  const house: IdentityContext = { db, clock, report }
  const { tokens, ...credentials } = createCredentials(dependencies)
  const { forgetAll } = credentials.agentKeys
  const { forget } = credentials.authenticator
  const attempts = createAttempts(db, clock, secretKey)
  const checkNewPassword = createNewPasswordCheck({ production: isProduction(settings) })
  const mails = createInvitationMails({ db, letters, publicUrl })
  const invitations = createInvitations({ ...house, secretKey, registration, publicUrl, mails, letters })
  const sessions = createSessions({
    ...house,
    tokens,
    accessTokenMinutes: settings.ACCESS_TOKEN_EXPIRE_MINUTES,
    idleMinutes: settings.SESSION_IDLE_MINUTES,
    maxMinutes: settings.SESSION_MAX_MINUTES,
    refusalOf: (user, methods, tx) => sso.identityProviders.refusalOf(user, methods, tx),
    stillOpens,
    forget,
  })
  const endSessions = sessions.endIn
  const sso = createSso(dependencies, endSessions)
  const { refusalOf, endSessionsOutside: endSessionsOutsideSso } = sso.identityProviders
  const factors = createFactors({
    ...house,
    passwords,
    sealer,
    party: relyingPartyOf(publicUrl, 'HITL'),
    issuer: `HITL ${new URL(publicUrl).host}`,
    attempts,
    stepUpFreshMinutes: settings.STEP_UP_FRESH_MINUTES,
  })
  const forgetOrganization = (organizationId: string): void => {
    forget(organizationId)
    forgetAll()
  }
  const audit = dependencies.auditAtTheEnd
  return {
    ...credentials,
    ...sso,
    ...createRecovery({
      ...house,
      log,
      passwords,
      checkNewPassword,
      letters,
      publicUrl,
      attempts,
      endSessions,
      deferral: dependencies.deferral,
    }),
    keptReplies: createKeptReplies({ db, clock, sealer }),
    attempts,
    invitations,
    sessions,
    factors,
    people: createPeople({ ...house, passwords, registration, checkNewPassword, invitations }),
    signIn: createSignIn({ ...house, passwords, attempts, factors, sessions, refusalOf }),
    members: createMembers({ ...house, forget, endSessions }),
    organizations: createOrganizations({ ...house, forget, endSessionsOutsideSso }),
    organizationDeletion: createOrganizationDeletion({ ...house, forget: forgetOrganization, endSessions, audit }),
    teams: createTeams(house),
    agents: createAgents(house),
    switches: createSwitches({ ...house, forgetAll }),
    apiKeys: createApiKeys({ ...house, secretKey, forget }),
    leakedKeys: createLeakedKeys({ ...house, attempts, forget }),
  }
}

/** What people and agents show with each call, and how it is checked. */
function createCredentials({ db, clock, report, log, secretKey, sealer, settings }: IdentityDependencies) {
  const signsTokens = settings.ACCESS_TOKEN_ALGORITHM === 'EdDSA'
  const inUse = ['certificate', 'audit_head', ...(signsTokens ? (['access_token'] as const) : [])] as const
  const signingKeys = createSigningKeys({ db, clock, sealer, log, inUse, report })
  const tokens = createAccessTokens(secretKey, settings.ACCESS_TOKEN_EXPIRE_MINUTES, {
    previousSecretKey: settings.SECRET_KEY_PREVIOUS,
    signingKeys: signsTokens ? signingKeys : null,
  })
  const refusedCalls = createRefusedCalls({ db, clock, report })
  const agentKeys = createKeyAuthenticator(db, clock, refusedCalls)
  // Together, because open streams ask again and again: thousands of sessions would be as many statements a second.
  const findSession = createBatcher({
    concurrency: 3,
    maxSize: 256,
    groupOf: ({ organizationId }: SessionOfPerson) => organizationId,
    rolledBack: () => true,
    perform: async (sessions) => {
      const [{ organizationId = '' } = {}] = sessions
      const found = await sessionsForAuthentication(db.within({ organizationId }), organizationId, sessions)
      return sessions.map(({ sessionId }) => ({ value: found.get(sessionId) ?? null }))
    },
  })
  const authenticator = createAuthenticator({
    clock,
    tokens,
    findSession,
    keys: agentKeys,
    refusedCalls,
  })
  return { signingKeys, tokens, agentKeys, authenticator }
}

function createSso(dependencies: IdentityDependencies, endSessions: EndSessions) {
  const { db, clock, report, log, sealer, settings } = dependencies
  const ca = settings.SSO_CA === null ? null : readFileSync(settings.SSO_CA, 'utf8')
  const providerHttp = createProviderHttp({ allow: settings.SSO_ALLOW, ca })
  const client = createOidcClient({ fetch: providerHttp.fetch, clock })
  const teams = { of: teamStore.teamsOf, join: teamStore.joinTeam, leave: teamStore.removeMember }
  const { publicUrl } = settings
  const context = { db, clock, report, log, sealer, publicUrl, client, endSessions, teams }
  return { identityProviders: createIdentityProviders(context), ssoSignIn: createSsoSignIn(context), providerHttp }
}
