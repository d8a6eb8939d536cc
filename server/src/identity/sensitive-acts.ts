/**
 * Whether an act needs a step-up. `enrols`: always, but it adds a factor, which somebody without any must be able to do.
 * `enrols_without_password`: the same, but people who have a password are asked for it instead; the service looks that up.
 * A function: only the calls whose body it says so of.
 */
export type StepUpDemand = 'never' | 'always' | 'enrols' | 'enrols_without_password' | ((body: never) => boolean)

interface KeyChanges {
  readonly is_active?: boolean
  readonly scopes?: unknown
  readonly expires_at?: unknown
  readonly allowed_networks?: unknown
}

interface PolicyChanges {
  readonly retention_days?: number | null
  readonly legal_hold?: boolean
}

/**
 * Every operation that changes something, by operationId, and whether a stolen session is enough for it: the only place that
 * says so. A step-up is needed by what lets somebody in, gives them more rights or lets something run again, and by what cannot
 * be undone. Not by what stops, revokes or holds: that must be quick.
 */
export const sensitiveActs: Readonly<Record<string, StepUpDemand>> = {
  createRequest: 'never',
  createRequests: 'never',
  // Where the request is of critical risk, a step-up is one way to confirm an approval: the service asks for it.
  respond: () => false,
  // Requests of critical risk are never answered together.
  respondMany: 'never',
  undo: 'never',
  setPresence: 'never',
  snooze: 'never',
  unsnooze: 'never',
  saveDraft: 'never',
  deleteDraft: 'never',
  saveView: 'never',
  changeView: 'never',
  deleteView: 'never',
  cancelRequest: 'never',
  addAttachment: 'never',
  removeAttachment: 'never',
  redeliver: 'never',
  redeliverCallbacks: 'never',
  redeem: 'never',
  reportOutcome: 'never',
  reviseRequest: 'never',

  changeAuditPolicy: ({ legal_hold, retention_days }: PolicyChanges) =>
    legal_hold === false || typeof retention_days === 'number',
  eraseFromAudit: 'always',

  register: 'never',
  login: 'never',
  secondFactor: 'never',
  passkeyOptions: 'never',
  passkeySignIn: 'never',
  refreshSession: 'never',
  switchOrganization: 'never',
  logout: 'never',
  revokeSession: 'never',
  revokeOtherSessions: 'never',
  revokeUserSession: 'never',
  stepUp: 'never',
  stepUpPasskeyOptions: 'never',

  // These ask for the password itself, or for a link that was mailed.
  changePassword: 'never',
  changeEmail: 'enrols_without_password',
  forgotPassword: 'never',
  resetPassword: 'never',
  requestEmailVerification: 'never',
  confirmEmail: 'never',

  makeRecoveryCodes: 'always',
  beginAuthenticatorApp: 'enrols',
  removeAuthenticatorApp: 'always',
  beginPasskey: 'enrols',
  removePasskey: 'always',
  renamePasskey: 'never',
  // They end what began with a step-up.
  confirmAuthenticatorApp: 'never',
  addPasskey: 'never',

  linkSso: 'always',
  unlinkSso: 'always',
  createIdentityProvider: 'always',
  changeIdentityProvider: 'always',
  deleteIdentityProvider: 'always',

  changeUser: 'always',
  invite: 'always',
  revokeInvitation: 'never',
  acceptInvitation: 'never',

  createOrganization: 'never',
  changeOrganization: 'always',
  transferOrganization: 'always',
  deleteOrganization: 'always',
  restoreOrganization: 'never',

  createTeam: 'never',
  changeTeam: 'never',
  deleteTeam: 'never',
  putTeamMember: 'never',
  removeTeamMember: 'never',

  registerAgent: 'never',
  changeAgent: 'never',
  pauseAgent: 'never',
  stopAgent: 'never',
  resumeAgent: 'always',
  pauseOrganization: 'never',
  stopOrganization: 'never',
  resumeOrganization: 'always',

  createApiKey: 'always',
  rotateApiKey: 'always',
  changeApiKey: ({ is_active, scopes, expires_at, allowed_networks }: KeyChanges) =>
    is_active === true || scopes !== undefined || expires_at !== undefined || allowed_networks !== undefined,
  revokeLeakedApiKey: 'never',
}

/** Whether this call needs a step-up. */
export function needsStepUp(demand: StepUpDemand, body: unknown): boolean {
  return typeof demand === 'function' ? demand(body as never) : demand === 'always' || demand === 'enrols'
}

/** Whether the act adds something to sign in with. */
export function isEnrolment(demand: StepUpDemand): boolean {
  return demand === 'enrols' || demand === 'enrols_without_password'
}
