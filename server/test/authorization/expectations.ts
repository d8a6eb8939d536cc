/** Who may call what: written down once more, independently of the service's own table, so that both have to be wrong. */

export const callers = ['owner', 'admin', 'reviewer', 'auditor', 'agent'] as const
export type Caller = (typeof callers)[number]

const people = ['owner', 'admin', 'reviewer', 'auditor'] as const
const managers = ['owner', 'admin'] as const
const deciders = ['owner', 'admin', 'reviewer'] as const
const readers = ['owner', 'admin', 'auditor'] as const

/** By operationId; `public` needs no credential, and so has no cell. */
export const allowed: Readonly<Record<string, readonly Caller[] | 'public'>> = {
  createRequest: ['agent'],
  listRequests: callers,
  getRequest: callers,
  respond: deciders,
  cancelRequest: ['agent'],
  redeliver: [...deciders, 'agent'],
  getCertificate: callers,
  redeem: ['agent'],
  listDeliveries: callers,

  listEvents: readers,
  listRequestEvents: readers,
  exportEvents: readers,
  getEvidence: readers,
  getAuditPolicy: readers,
  changeAuditPolicy: managers,
  eraseFromAudit: managers,

  register: 'public',
  login: 'public',
  refreshSession: 'public',
  secondFactor: 'public',
  passkeyOptions: 'public',
  passkeySignIn: 'public',
  forgotPassword: 'public',
  resetPassword: 'public',
  confirmEmail: 'public',
  startSso: 'public',
  finishSso: 'public',
  getKeySet: 'public',
  health: 'public',
  readyz: 'public',
  livez: 'public',

  me: people,
  logout: people,
  switchOrganization: people,
  listSessions: people,
  revokeOtherSessions: people,
  revokeSession: people,
  changePassword: people,
  requestEmailVerification: people,
  changeEmail: people,
  listFactors: people,
  makeRecoveryCodes: people,
  beginAuthenticatorApp: people,
  confirmAuthenticatorApp: people,
  removeAuthenticatorApp: people,
  beginPasskey: people,
  addPasskey: people,
  renamePasskey: people,
  removePasskey: people,
  stepUp: people,
  stepUpPasskeyOptions: people,
  linkSso: people,
  listSsoIdentities: people,
  unlinkSso: people,

  listUsers: people,
  getUser: people,
  changeUser: managers,
  listUserSessions: managers,
  revokeUserSession: managers,
  invite: managers,
  listInvitations: managers,
  revokeInvitation: managers,
  acceptInvitation: people,

  listOrganizations: people,
  createOrganization: managers,
  getOrganization: people,
  changeOrganization: managers,
  transferOrganization: managers,
  deleteOrganization: ['owner'],
  restoreOrganization: ['owner'],

  listTeams: people,
  createTeam: managers,
  getTeam: people,
  changeTeam: people,
  deleteTeam: people,
  putTeamMember: people,
  removeTeamMember: people,

  listIdentityProviders: managers,
  createIdentityProvider: managers,
  getIdentityProvider: managers,
  changeIdentityProvider: managers,
  deleteIdentityProvider: managers,

  createApiKey: managers,
  listApiKeys: managers,
  getApiKey: managers,
  changeApiKey: managers,
}
