/**
 * What an archive holds: a table that is in neither list fails a test, so that nobody forgets one. A column of bytes is left out
 * unless `digests` names it, and so is what `secrets` names: an archive lets nobody in.
 */

/** Whether rows are in the archive of their organization; and the columns that name the person in whose own archive they are. */
export interface ArchivedTable {
  readonly ofOrganization: boolean
  readonly ofPerson: readonly string[]
  /** A column that a person gets only where another one names them: it says more about others elsewhere. */
  readonly onlyTheirs?: { readonly column: string; readonly by: string }
  /** Rows can have megabytes: few are read at a time. */
  readonly isWide?: true
}

const both = (...ofPerson: readonly string[]): ArchivedTable => ({ ofOrganization: true, ofPerson })
const organizationOnly: ArchivedTable = { ofOrganization: true, ofPerson: [] }
/** What people keep to themselves. */
const personOnly: ArchivedTable = { ofOrganization: false, ofPerson: ['user_id'] }

/** Tables with organization_id first in their primary key. */
export const archived: Readonly<Record<string, ArchivedTable>> = {
  organizations: organizationOnly,
  users: both('id'),
  teams: organizationOnly,
  team_members: both('user_id'),
  agents: both('owner_id'),
  api_keys: both('created_by'),
  invitations: organizationOnly,
  identity_providers: organizationOnly,
  sso_identities: both('user_id'),
  consultation_requests: { ...organizationOnly, isWide: true },
  consultation_answers: { ...both('responder_id'), isWide: true },
  consultation_revisions: { ...organizationOnly, isWide: true },
  attachments: both('added_by_id'),
  deliveries: { ...organizationOnly, isWide: true },
  delivery_attempts: organizationOnly,
  events: { ...both('actor_id', 'subject_id'), onlyTheirs: { column: 'erasable', by: 'actor_id' } },
  audit_policies: organizationOnly,
  request_drafts: { ...personOnly, isWide: true },
  request_snoozes: personOnly,
  saved_views: personOnly,
}

/** Tables of accounts, which belong to a person and to no organization, with the column that names the account. */
export const archivedOfAccount: Readonly<Record<string, string>> = {
  accounts: 'id',
  passkeys: 'account_id',
  totp_factors: 'account_id',
  sessions: 'account_id',
}

/** Tables that no archive has, and why. */
export const leftOut: Readonly<Record<string, string>> = {
  attachment_chunks: 'contents of files: take them from their requests, by the ids in attachments',
  audit_seals: 'the export of the audit has them, in the form that can be verified',
  account_links: 'hashes of links that were mailed',
  recovery_codes: 'hashes',
  refresh_tokens: 'hashes',
  step_ups: 'hashes; the audit has each',
  passkey_challenges: 'they end within minutes',
  sign_in_challenges: 'they end within minutes',
  sso_flows: 'they end within minutes',
  kept_replies: 'sealed replies, for a day',
  letters: 'sealed mail, until it is sent',
  data_keys: 'keys',
  signing_keys: 'keys; the public ones are published',
  secret_key_checks: 'of the installation',
  restored_copies: 'of the installation; the audit has each',
  rate_limits: 'counts of the installation',
  attempt_tallies: 'counts of the installation',
  attachment_usage: 'sums of what is in attachments',
  discarded_objects: 'names of objects to be deleted',
  consultation_totals: 'sums of what is in consultation_requests',
  request_search_documents: 'made from consultation_requests',
  request_search_parts: 'made from consultation_requests',
  request_search_progress: 'made from consultation_requests',
}

/** Columns of bytes that are no secret. */
export const digests: ReadonlySet<string> = new Set(['digest', 'sha256', 'body_sha256'])

/** Columns that let somebody in, or are of use to the service alone. */
export const secrets: ReadonlySet<string> = new Set(['password_hash', 'email_key', 'lease_token', 'xact', 'era'])

export interface ArchivedFile {
  readonly name: string
  readonly rows: number
  readonly bytes: number
  readonly sha256: string
}
