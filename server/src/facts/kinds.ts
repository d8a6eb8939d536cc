/** What an event is about. */
export const subjectKinds = [
  'request',
  'user',
  'session',
  'team',
  'agent',
  'api_key',
  'invitation',
  'organization',
  'signing_key',
  'identity_provider',
  'account',
] as const
export type SubjectKind = (typeof subjectKinds)[number]

/** Every kind of event there is, `noun.past_tense`, with its meaning: docs/events.md and the API's enum are made from it. */
export const eventKinds = {
  'request.created': 'An agent asked.',
  'request.responded': 'A person decided. With `held_until`, the decision is held back from the agent until then.',
  'request.undone': 'The person who decided took the decision back within the hold: the request is open again.',
  'request.released': 'The hold of a decision is over, and the agent has it.',
  'request.timed_out': 'The time ran out before anyone decided.',
  'request.cancelled':
    'The agent withdrew its request. With `held_until` before, a decision that was held back became void with it.',
  'request.revised':
    'The agent asked something else in the place of what it had asked. With `held_until` before, a decision that was held back became void with it.',
  'request.callback_sent': 'The callback was delivered.',
  'request.callback_failed':
    'The callback failed and its quick retries are used up; `next_attempt_at` says when the recovery begins, if there is one.',
  'request.callback_abandoned':
    'The recovery of a failed callback ended too: nothing more is tried unless somebody asks.',
  'request.redelivery_requested': 'The agent or a person asked for the callback to be sent again.',
  'request.redeemed': 'The agent used an approval, which can be used once.',
  'request.completed': 'The agent reported what happened when it carried out what was decided.',
  'request.contradicted':
    'A stored question, decision or certificate contradicts another, or what was shown: it was changed outside the service.',

  'attachment.added':
    'A file was added: by an agent to what it asks, or by a person for an answer. With `held_until` before, a decision that was held back became void with it.',
  'attachment.removed':
    'A file was removed before the request was answered. With `held_until` before, a decision that was held back became void with it.',

  'breaker.opened':
    'A receiver of callbacks failed so often in a row that callbacks wait, and only one at a time tries it.',
  'breaker.closed': 'The receiver took a callback again, so all that waited are sent.',

  'user.registered': 'A person became a member of the organization.',
  'user.joined': 'A person who has an account joined the organization.',
  'user.changed': "A member's role, name or access was changed.",
  'user.role_changed': "The identity provider's claims changed a member's role.",
  'user.teams_changed': "The identity provider's claims changed a member's teams.",
  'user.deleted': 'A membership ended with its organization.',
  'invitation.created': 'An invitation or set-up link was made.',
  'invitation.revoked': 'An invitation was revoked before it was used.',
  'invitation.reserved':
    'An invitation was used for an address that has an account: only its owner can use it from now on.',

  'organization.created': 'An organization was created.',
  'organization.changed': 'The name or a setting of the organization was changed.',
  'organization.transferred': 'The organization has another owner.',
  'organization.deletion_requested': 'The owner asked for the deletion; the days of grace began.',
  'organization.restored': 'The owner withdrew the deletion within the days of grace.',
  'organization.deletion_begun': 'The grace period ended and the deletion began.',
  'organization.deleted': 'The organization was deleted.',
  'organization.paused': 'All agents of the organization were paused.',
  'organization.stopped': 'All agents of the organization were stopped.',
  'organization.resumed': 'The agents of the organization may work again.',

  'team.created': 'A team was created.',
  'team.changed': 'The name or description of a team was changed.',
  'team.deleted': 'A team was deleted.',
  'team.member_added': 'A member joined a team.',
  'team.member_changed': "A member's role in a team was changed.",
  'team.member_removed': 'A member left a team.',

  'session.opened': 'A person signed in.',
  'session.ended': 'A session ended: signed out, revoked, expired or closed with its account.',
  'session.reuse_detected': 'A refresh token was used a second time, so its session was revoked.',
  'sign_in.failed': 'A sign-in with the password failed.',
  'second_factor.refused': 'A second factor was refused during a sign-in.',
  'step_up.granted': 'A person proved a fresh factor for one sensitive act.',
  'step_up.refused': 'The fresh factor for a sensitive act was refused.',

  'password.changed': 'A person changed their password.',
  'password.reset_requested': 'A link to choose a new password was requested.',
  'password.reset': 'A new password was chosen through a mailed link.',
  'email.change_requested': 'A person asked to sign in with another address.',
  'email.changed': 'The address of an account was changed.',
  'email.verified': 'The owner of the mailbox confirmed the address.',

  'passkey.begun': 'A person began to add a passkey.',
  'passkey.added': 'A passkey was added.',
  'passkey.renamed': 'A passkey was renamed.',
  'passkey.removed': 'A passkey was removed.',
  'passkey.refused': 'A new passkey was refused.',
  'passkey.counter_fell': 'A synced passkey was accepted although its counter was lower than before.',
  'totp.begun': 'A person began to add an authenticator app.',
  'totp.confirmed': 'An authenticator app was added.',
  'totp.removed': 'An authenticator app was removed.',
  'totp.refused': 'The first code of a new authenticator app was refused.',
  'recovery_codes.made': 'New recovery codes were made; older ones no longer work.',
  'factors.removed': 'All second factors of an account were removed.',

  'identity_provider.created': 'An identity provider was added.',
  'identity_provider.changed': 'The settings of an identity provider were changed.',
  'identity_provider.deleted': 'An identity provider was deleted.',
  'sso.link_begun': 'A member began to link an identity of the provider.',
  'sso.linked': 'An identity of the provider was linked to a member.',
  'sso.unlinked': 'A linked identity was removed.',
  'sso.link_refused': 'Linking an identity was refused.',
  'sso.sign_in_refused': 'A sign-in through the identity provider was refused.',

  'agent.created': 'An agent was registered.',
  'agent.changed': 'The name, description or owner of an agent was changed.',
  'agent.paused': 'An agent was paused: its new requests are refused.',
  'agent.stopped': 'An agent was stopped: all its calls are refused.',
  'agent.resumed': 'An agent may work again.',
  'agent.pause_acknowledged': 'A call of the agent was first refused because of the pause.',
  'api_key.created': 'An API key was made.',
  'api_key.changed': 'The name, description, networks or state of an API key was changed.',
  'api_key.rotated': 'An API key was replaced by a new one.',
  'api_key.expiring': 'An API key expires soon.',
  'api_key.leaked': 'An API key was reported as leaked, and revoked.',
  'api_key.refused': 'An API key was used after it was revoked or expired, or from a network it is not allowed from.',

  'signing_key.created': 'A signing key was made.',
  'signing_key.rotated': 'A signing key was replaced by a new one.',
  'signing_key.revoked': 'A signing key was revoked because it leaked: what it signed no longer counts on its own.',
  'data_key.rotated': 'The organization has a new data key.',
  'data_key.rewrapped': 'Data keys were wrapped under another key-encryption key.',
  'secret.resealed': 'Stored secrets were sealed again under the current data key.',

  'letter.not_sent':
    'A mail was given up, or held back because its address or person had enough: `after` has the reason.',

  'access.refused': 'A signed-in caller was refused, with the code and how often.',
  'credential.refused': 'A caller without a valid credential was refused, with the code and how often.',

  'audit.read': 'A person has read another thousand events in lists.',
  'audit.exported': 'The audit was exported.',
  'audit.evidence_taken': 'The evidence pack of a request was taken.',
  'audit.report_taken': 'A compliance report was taken.',
  'audit.policy_changed': 'Retention or legal hold was changed.',
  'audit.erased': 'Personal data was erased from events.',
  'audit.erasure_refused': 'Erasing personal data was refused because of a legal hold.',
  'audit.purged': 'Events older than the retention were deleted.',
  'audit.restored':
    'This database was restored from a backup: what happened after `backed_up_at`, and before this event, is not in it.',
  'restored_copy.released': 'Callbacks and mail, held since a backup was restored, are sent.',
} as const satisfies Record<string, string>

export type EventKind = keyof typeof eventKinds
