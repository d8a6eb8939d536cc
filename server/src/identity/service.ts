import { readFileSync } from 'node:fs'
import type { Actor, Report } from '../facts/fact.ts'
import type { Clock } from '../platform/clock.ts'
import type { Db, Tx } from '../platform/database/db.ts'
import type { Logger } from '../platform/log.ts'
import type { Mail } from '../platform/mail.ts'
import type { Sealer } from '../platform/secrets/sealed-text.ts'
import type { HttpSettings } from '../settings/http.ts'
import type { IdentitySettings } from '../settings/identity.ts'
import type { SecretSettings } from '../settings/secrets.ts'
import { isProduction, type ServiceSettings } from '../settings/service.ts'
import { createAccessTokens } from './access-token.ts'
import { createNewPasswordCheck } from './accounts/new-password.ts'
import { createPasswords, type Passwords } from './accounts/passwords.ts'
import { createAgents } from './agents/service.ts'
import { createSwitches } from './agents/switches.ts'
import { createKeyAuthenticator } from './api-keys/authenticate-key.ts'
import { createLeakedKeys } from './api-keys/leaked-keys.ts'
import { createRefusedCalls } from './api-keys/refused-calls.ts'
import { createApiKeys } from './api-keys/service.ts'
import { createAuthenticator } from './authenticate.ts'
import { relyingPartyOf } from './factors/passkeys/passkey.ts'
import { createFactors } from './factors/service.ts'
import { createInvitationMail } from './invitations/invitation-mail.ts'
import { createInvitations } from './invitations/service.ts'
import { createMembers } from './members/service.ts'
import type { DeletionAudit } from './organizations/context.ts'
import { createOrganizationDeletion } from './organizations/deletion.ts'
import { createOrganizations } from './organizations/service.ts'
import { actorOf, type Caller, type Person } from './principal.ts'
import { createRecovery } from './recovery/service.ts'
import { createPeople } from './registration/service.ts'
import { createSessions } from './sessions/service.ts'
import { createSignIn } from './sessions/sign-in.ts'
import { sessionForAuthentication } from './sessions/store.ts'
import { createSigningKeys } from './signing-keys/service.ts'
import { createOidcClient } from './sso/oidc-client.ts'
import { createProviderHttp } from './sso/provider-http.ts'
import { createIdentityProviders } from './sso/providers/service.ts'
import { createSsoSignIn } from './sso/sign-in.ts'
import { createTeams } from './teams/service.ts'
import * as teamStore from './teams/store.ts'
import { createAttempts } from './throttle/attempts.ts'

export interface IdentityDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly secretKey: string
  readonly sealer: Sealer
  readonly log: Logger
  /** Null: this installation sends no mail. */
  readonly mail: Mail | null
  readonly settings: IdentitySettings & SecretSettings & HttpSettings & ServiceSettings
  /** Tests bring quicker ones. */
  readonly passwords?: Passwords | undefined
  /** What the audit has to do with the end of an organization. */
  readonly auditAtTheEnd: DeletionAudit
  /** Appends to the event log in the caller's transaction. */
  readonly report: Report
}

export type Identity = ReturnType<typeof createIdentity>

/** Connects the rooms of identity: who there is, how they prove it, and what they may do. */
export function createIdentity(dependencies: IdentityDependencies) {
  const { db, clock, log, secretKey, sealer, mail, settings, report, passwords = createPasswords() } = dependencies
  const { publicUrl, REGISTRATION: registration, ACCESS_TOKEN_EXPIRE_MINUTES: accessTokenMinutes } = settings
  const signsTokens = settings.ACCESS_TOKEN_ALGORITHM === 'EdDSA'
  const inUse = ['certificate', 'audit_head', ...(signsTokens ? (['access_token'] as const) : [])] as const
  const signingKeys = createSigningKeys({ db, clock, sealer, inUse, report })
  const tokens = createAccessTokens(secretKey, accessTokenMinutes, {
    previousSecretKey: settings.SECRET_KEY_PREVIOUS,
    signingKeys: signsTokens ? signingKeys : null,
  })
  const refusedCalls = createRefusedCalls({ db, clock, report })
  const agentKeys = createKeyAuthenticator(db, clock, refusedCalls)
  const authenticator = createAuthenticator({
    clock,
    tokens,
    findSession: (organizationId, userId, sessionId) =>
      sessionForAuthentication(db.within({ organizationId }), organizationId, userId, sessionId),
    keys: agentKeys,
    refusedCalls,
  })
  const { forget } = authenticator
  const attempts = createAttempts(db, clock, secretKey)
  const checkNewPassword = createNewPasswordCheck({ production: isProduction(settings) })
  const mailInvitation = createInvitationMail({ db, mail, publicUrl })
  const invitations = createInvitations({ db, clock, secretKey, registration, publicUrl, mailInvitation, report })
  const people = createPeople({ db, clock, report, passwords, registration, checkNewPassword, invitations })
  const sessions = createSessions({
    db,
    clock,
    tokens,
    accessTokenMinutes,
    idleMinutes: settings.SESSION_IDLE_MINUTES,
    maxMinutes: settings.SESSION_MAX_MINUTES,
    report,
    refusalOf: (user, methods, tx) => identityProviders.refusalOf(user, methods, tx),
    forget,
  })
  const factors = createFactors({
    db,
    clock,
    passwords,
    sealer,
    party: relyingPartyOf(publicUrl, 'HITL'),
    issuer: `HITL ${new URL(publicUrl).host}`,
    attempts,
    stepUpFreshMinutes: settings.STEP_UP_FRESH_MINUTES,
    report,
    membershipOf: async (accountId) => {
      const user = await signIn.membershipOf(accountId)
      return user === null ? null : { organizationId: user.organizationId, userId: user.id }
    },
  })
  const signIn = createSignIn({
    db,
    clock,
    passwords,
    attempts,
    factors,
    sessions,
    report,
    refusalOf: (user, methods) => identityProviders.refusalOf(user, methods),
  })
  const recovery = createRecovery({
    db,
    clock,
    log,
    passwords,
    checkNewPassword,
    mail,
    publicUrl,
    attempts,
    endSessions: async (tx, { accountId, organizationId, exceptSessionId, because }, by) => {
      const kept = exceptSessionId === null ? {} : { exceptSessionId }
      await sessions.endIn(tx, { accountId, organizationId, ...kept }, because, by)
    },
    report,
  })
  const ssoCa = settings.SSO_CA === null ? null : readFileSync(settings.SSO_CA, 'utf8')
  const providerHttp = createProviderHttp({ allow: settings.SSO_ALLOW, ca: ssoCa })
  const sso = {
    db,
    clock,
    log,
    sealer,
    publicUrl,
    client: createOidcClient({ fetch: providerHttp.fetch, clock }),
    endSession: async (
      tx: Tx,
      of: { readonly organizationId: string; readonly id: string },
      by: { readonly actor: Actor; readonly httpRequestId: string | null },
    ) => void (await sessions.endIn(tx, of, 'revoked', by)),
    report,
    teams: { of: teamStore.teamsOf, join: teamStore.joinTeam, leave: teamStore.removeMember },
  }
  const identityProviders = createIdentityProviders(sso)
  const ssoSignIn = createSsoSignIn(sso)
  const apiKeys = createApiKeys({ db, clock, secretKey, report, forget })
  const leakedKeys = createLeakedKeys({ db, clock, attempts, report, forget })
  const agents = createAgents({ db, clock, report })
  const switches = createSwitches({ db, clock, report, forgetAll: agentKeys.forgetAll })
  const members = createMembers({
    db,
    clock,
    report,
    forget,
    endSessions: async (tx, userId, by) => {
      const { organizationId } = by.principal
      await sessions.endIn(tx, { organizationId, userId }, 'deactivated', endedBy(by))
    },
  })
  const organizations = createOrganizations({
    db,
    clock,
    report,
    forget,
    endSessionsOutsideSso: identityProviders.endSessionsOutside,
  })
  const organizationDeletion = createOrganizationDeletion({
    db,
    clock,
    report,
    forget: (organizationId) => {
      forget(organizationId)
      agentKeys.forgetAll()
    },
    endOtherSessions: async (tx, by) => {
      const { organizationId, userId } = by.principal
      await sessions.endIn(tx, { organizationId, exceptUserId: userId }, 'revoked', endedBy(by))
    },
    audit: dependencies.auditAtTheEnd,
  })
  const teams = createTeams({ db, clock, report })
  return {
    signingKeys,
    authenticator,
    attempts,
    people,
    invitations,
    members,
    organizations,
    organizationDeletion,
    teams,
    sessions,
    signIn,
    factors,
    apiKeys,
    leakedKeys,
    agents,
    agentKeys,
    switches,
    ...recovery,
    identityProviders,
    ssoSignIn,
    providerHttp,
  }
}

function endedBy({ principal, httpRequestId, network }: Caller<Person>) {
  return { actor: actorOf(principal), httpRequestId, network: network ?? null }
}
