// Made from the migrations by scripts/schema-types.ts: run "npm run schema-types" after changing them.
import type { Generated } from 'kysely'
import type { JsonText } from '../json.ts'

/** The tables as queries read and write them. */
export interface Schema {
  account_links: {
    id: string
    account_id: string
    purpose: 'password_reset' | 'email_verification' | 'email_change'
    token_hash: Buffer
    email: string | null
    expires_at: Date
    used_at: Date | null
    created_at: Date
    session_id: string | null
    from_known_network: boolean
  }
  accounts: {
    id: string
    email: string
    email_key: string
    email_verified_at: Date | null
    password_hash: string | null
    password_changed_at: Date | null
    last_organization_id: string | null
    created_at: Date
    updated_at: Date
  }
  agents: {
    organization_id: string
    id: string
    name: string
    description: string | null
    owner_id: string | null
    status: Generated<'active' | 'paused' | 'stopped'>
    paused_at: Date | null
    paused_by: string | null
    pause_reason: string | null
    organization_status: Generated<'active' | 'paused' | 'stopped'>
    pause_acknowledged_at: Date | null
    created_by: string | null
    idempotency_key: string | null
    idempotency_hash: Buffer | null
    created_at: Date
    updated_at: Date
  }
  api_keys: {
    organization_id: string
    id: string
    agent_id: string
    name: string
    description: string | null
    key_hash: Buffer
    is_active: Generated<boolean>
    scopes: Generated<readonly string[]>
    expires_at: Date
    warn_at: Date | null
    allowed_networks: Generated<readonly string[]>
    rotated_from: string | null
    revoked_at: Date | null
    revoked_by: string | null
    leaked_at: Date | null
    last_used_at: Date | null
    last_used_address: string | null
    created_by: string | null
    idempotency_key: string | null
    idempotency_hash: Buffer | null
    created_at: Date
    updated_at: Date
  }
  attachment_chunks: {
    organization_id: string
    attachment_id: string
    number: number
    bytes: Buffer
  }
  attachment_usage: {
    organization_id: string
    bytes: number
  }
  attachments: {
    organization_id: string
    id: string
    request_id: string
    added_by_kind: 'agent' | 'person'
    added_by_id: string
    name: string
    media_type: string
    storage: 'database' | 's3'
    size: number | null
    sha256: Buffer | null
    added_at: Date | null
    sealed_at: Date | null
    discard_at: Date | null
    idempotency_key: string | null
    idempotency_hash: Buffer | null
    created_at: Date
  }
  attempt_tallies: {
    key: Buffer
    failures: number
    failed_at: Date
    not_before: Date | null
    known_at: Date | null
    forget_at: Date
  }
  audit_policies: {
    organization_id: string
    retention_days: number | null
    legal_hold: Generated<boolean>
    updated_at: Date
  }
  audit_seals: {
    organization_id: string
    number: number
    first_position: number
    last_position: number
    last_era: number
    last_xact: string
    last_id: string
    first_occurred_at: Date
    last_occurred_at: Date
    leaves: Buffer
    root: Buffer
    link: Buffer
    head: string
    sealed_at: Date
    published_at: Date | null
  }
  consultation_answers: {
    organization_id: string
    request_id: string
    revision: number
    responder_id: string
    decision: 'approve' | 'reject' | 'request_changes' | 'acknowledge' | null
    comment: string | null
    answered_at: Date
    voided_at: Date | null
    choices: readonly string[] | null
    data: JsonText | null
    args: JsonText | null
    args_patch: JsonText | null
    erased_at: Date | null
    attachments: JsonText | null
    responder_name: string | null
  }
  consultation_requests: {
    organization_id: string
    id: string
    agent_id: string
    api_key_id: string
    title: string
    description: string | null
    context: JsonText
    metadata: JsonText | null
    context_bytes: Generated<number>
    metadata_bytes: Generated<number>
    digest: Buffer
    state: 'pending' | 'responded' | 'timeout' | 'cancelled' | 'completed'
    revision: Generated<number>
    timeout_at: Date | null
    next_action_at: Date | null
    decision: 'approve' | 'reject' | 'request_changes' | 'acknowledge' | null
    responder_id: string | null
    decided_by: 'human' | 'policy' | 'timeout' | 'standing_approval' | 'break_glass' | null
    certificate: string | null
    certificate_expires_at: Date | null
    redeemed_at: Date | null
    callback_url: string | null
    callback_secret: Buffer | null
    callback_retry_seconds: readonly number[] | null
    erased_at: Date | null
    idempotency_key: string | null
    idempotency_hash: Buffer | null
    closing_call: string | null
    redeeming_call: string | null
    created_at: Date
    updated_at: Date
    attachments: JsonText | null
    traceparent: string | null
    callback_events: readonly string[] | null
    hold_seconds: Generated<number>
    held_until: Date | null
    outcome_status: 'executed' | 'failed' | 'unknown' | null
    outcome_detail: string | null
    outcome_data: JsonText | null
    outcome_at: Date | null
    action: JsonText | null
    answer_asked: JsonText | null
    presentation: JsonText | null
    justification: string | null
    risk: Generated<'low' | 'medium' | 'high' | 'critical'>
    risk_proposed: Generated<'low' | 'medium' | 'high' | 'critical'>
    priority: Generated<'low' | 'normal' | 'high' | 'urgent'>
    tags: Generated<readonly string[]>
    run_id: string | null
    action_bytes: Generated<number>
    answer_asked_bytes: Generated<number>
    presentation_bytes: Generated<number>
    response_bytes: Generated<number>
    callback_id: string | null
    revised_at: Date | null
    revising_key_id: string | null
  }
  consultation_revisions: {
    organization_id: string
    request_id: string
    revision: number
    api_key_id: string
    asked_at: Date
    title: string
    description: string | null
    context: JsonText
    metadata: JsonText | null
    action: JsonText | null
    answer_asked: JsonText | null
    justification: string | null
    presentation: JsonText | null
    attachments: JsonText | null
    digest: Buffer
    risk: 'low' | 'medium' | 'high' | 'critical'
    risk_proposed: 'low' | 'medium' | 'high' | 'critical'
    priority: 'low' | 'normal' | 'high' | 'urgent'
    tags: readonly string[]
    run_id: string | null
    hold_seconds: number
    timeout_at: Date | null
    callback_url: string | null
    callback_events: readonly string[] | null
    traceparent: string | null
    responder_id: string | null
    decision: 'approve' | 'reject' | 'request_changes' | 'acknowledge' | null
    decided_by: 'human' | 'policy' | 'timeout' | 'standing_approval' | 'break_glass' | null
    certificate: string | null
    revised_at: Date
    erased_at: Date | null
    bytes: Generated<number>
    response_bytes: number
  }
  consultation_totals: {
    organization_id: string
    agent_id: string
    state: string
    slot: number
    total: number
  }
  data_keys: {
    organization_id: string
    id: string
    kek_id: string
    wrapped: Buffer
    created_at: Date
    retired_at: Date | null
  }
  deliveries: {
    organization_id: string
    id: string
    channel: string
    subject_id: string
    address: string
    target: string
    secret: Buffer | null
    body: string
    proof: Buffer | null
    body_bytes: number
    body_sha256: Buffer | null
    retry_seconds: readonly number[]
    recovery_seconds: readonly number[]
    status: Generated<'pending' | 'sent' | 'failed'>
    attempts: Generated<number>
    round_attempts: Generated<number>
    due_at: Date | null
    lease_token: string | null
    failed_at: Date | null
    not_before: Date | null
    created_at: Date
    updated_at: Date
    traceparent: string | null
    event: Generated<string>
    settled: 'sent' | 'failed' | null
    shown: Generated<boolean>
    planned_at: Date | null
    last_error: string | null
    sent_at: Date | null
    changed_at: Date | null
    withdrawn_at: Date | null
  }
  delivery_attempts: {
    organization_id: string
    id: string
    delivery_id: string
    channel: string
    subject_id: string
    attempt: number
    address: string
    succeeded: boolean
    status_code: number | null
    duration_ms: number
    reply: Generated<string>
    error_code: string | null
    error: string | null
    started_at: Date
    created_at: Date
  }
  discarded_objects: {
    organization_id: string
    id: string
    discarded_at: Generated<Date>
  }
  events: {
    organization_id: string
    id: string
    kind: string
    subject_kind: string
    subject_id: string
    actor_kind: 'person' | 'agent' | 'timer' | 'system' | 'anonymous'
    actor_id: string | null
    occurred_at: Date
    era: Generated<number>
    xact: Generated<string>
    record: string
    erasable: string | null
  }
  identity_providers: {
    organization_id: string
    id: string
    name: string
    issuer: string
    client_id: string
    client_secret: Buffer | null
    scopes: readonly string[]
    role_claim: string | null
    role_map: unknown
    default_role: 'admin' | 'reviewer' | 'auditor' | null
    team_claim: string | null
    team_map: unknown
    creates_members: boolean
    email_domains: readonly string[]
    is_enforced: boolean
    is_active: boolean
    proven_at: Date | null
    created_by: string | null
    idempotency_key: string | null
    idempotency_hash: Buffer | null
    created_at: Date
    updated_at: Date
  }
  invitations: {
    organization_id: string
    id: string
    token_hash: Buffer
    email: string | null
    role: 'admin' | 'reviewer' | 'auditor'
    created_by: string | null
    idempotency_key: string | null
    idempotency_hash: Buffer | null
    expires_at: Date
    used_at: Date | null
    reserved_for: string | null
    revoked_at: Date | null
    created_at: Date
    updated_at: Date
  }
  kept_replies: {
    organization_id: string
    id: string
    caller_id: string
    path: string
    key: string
    body_hash: Buffer
    reply: Buffer | null
    claimed_until: Date
    expires_at: Date
  }
  letters: {
    organization_id: string
    id: string
    kind: 'password_reset' | 'known_password_reset' | 'email_verification' | 'email_change' | 'notice' | 'invitation' | 'invited_account'
    subject_kind: string
    subject_id: string
    account_id: string | null
    recipient: Buffer
    body: Buffer | null
    status: Generated<'pending' | 'sent' | 'failed'>
    attempts: Generated<number>
    due_at: Date | null
    lease_token: string | null
    useful_until: Date
    created_at: Date
    updated_at: Date
  }
  organizations: {
    organization_id: string
    name: string
    is_default: Generated<boolean>
    require_step_up: Generated<boolean>
    agents_status: Generated<'active' | 'paused' | 'stopped'>
    agents_paused_at: Date | null
    agents_paused_by: string | null
    agents_pause_reason: string | null
    delete_after: Date | null
    deletion_requested_by: string | null
    deleted_at: Date | null
    cleared_at: Date | null
    created_by: string | null
    idempotency_key: string | null
    idempotency_hash: Buffer | null
    created_at: Generated<Date>
    updated_at: Generated<Date>
  }
  passkey_challenges: {
    challenge_hash: Buffer
    purpose: 'registration' | 'sign_in' | 'second_factor' | 'step_up'
    account_id: string | null
    bound_to: Buffer | null
    session_id: string | null
    step_up_id: string | null
    step_up_method: 'password' | 'totp' | 'passkey' | 'recovery_code' | 'sign_in' | null
    expires_at: Date
    created_at: Date
  }
  passkeys: {
    account_id: string
    id: string
    credential_id: Buffer
    public_key: Buffer
    sign_count: number
    transports: readonly string[]
    name: string
    is_backed_up: boolean
    last_used_at: Date | null
    created_at: Date
    updated_at: Date
  }
  rate_limits: {
    key: Buffer
    ends_at: Date
    taken: number
    granted: number
  }
  recovery_codes: {
    account_id: string
    code_hash: Buffer
    used_at: Date | null
    created_at: Date
  }
  refresh_tokens: {
    token_hash: Buffer
    account_id: string
    organization_id: string
    session_id: string
    generation: number
    replaced_at: Date | null
    created_at: Date
  }
  request_drafts: {
    organization_id: string
    request_id: string
    user_id: string
    revision: number
    answer: JsonText
    updated_at: Date
  }
  request_search_documents: {
    organization_id: string
    request_id: string
    agent_id: string
    document: string
    due: Generated<boolean>
  }
  request_search_parts: {
    organization_id: string
    first_id: string
    number: number
  }
  request_search_progress: {
    organization_id: string
    filled_to: string | null
    followed_to: Date
    followed_id: string
    documents: number
  }
  request_snoozes: {
    organization_id: string
    user_id: string
    request_id: string
    until: Date
  }
  restored_copies: {
    organization_id: string
    id: string
    backed_up_at: Date
    backup_sha256: Buffer
    restored_at: Date
    released_at: Date | null
  }
  saved_views: {
    organization_id: string
    id: string
    user_id: string
    name: string
    query: string
    created_at: Date
    updated_at: Date
  }
  secret_key_checks: {
    organization_id: string
    value: string
    noted_at: Date
  }
  sessions: {
    id: string
    account_id: string
    organization_id: string
    user_id: string
    kind: 'browser' | 'bearer'
    signed_in_with: readonly string[]
    signed_in_at: Date
    identity_provider_id: string | null
    sso_identity_id: string | null
    network: string | null
    user_agent: string | null
    last_used_at: Date
    idle_until: Date
    expires_at: Date
    revoked_at: Date | null
    revoked_because: 'signed_out' | 'revoked' | 'reuse' | 'switched' | 'password_changed' | 'deactivated' | null
  }
  sign_in_challenges: {
    token_hash: Buffer
    account_id: string
    organization_id: string
    user_id: string
    methods: readonly string[]
    tries: Generated<number>
    used_at: Date | null
    expires_at: Date
    created_at: Date
  }
  signing_keys: {
    organization_id: string
    id: string
    kid: string
    purpose: 'access_token' | 'certificate' | 'audit_head'
    public_key: Buffer
    private_key: Buffer | null
    proof: Buffer
    created_at: Date
    active_at: Date
    retired_at: Date | null
    revoked_at: Date | null
  }
  sso_flows: {
    organization_id: string
    id: string
    provider_id: string
    state_hash: Buffer
    browser_hash: Buffer
    secrets: Buffer
    user_id: string | null
    session_id: string | null
    return_to: string
    expires_at: Date
    created_at: Date
  }
  sso_identities: {
    organization_id: string
    id: string
    issuer: string
    subject: string
    user_id: string
    created_at: Date
    last_used_at: Date | null
  }
  step_ups: {
    organization_id: string
    id: string
    user_id: string
    session_id: string | null
    digest: Buffer
    method: 'password' | 'totp' | 'passkey' | 'recovery_code' | 'sign_in'
    token_hash: Buffer | null
    used_at: Date | null
    idempotency_key: string | null
    expires_at: Date
    created_at: Date
  }
  team_members: {
    organization_id: string
    team_id: string
    user_id: string
    is_lead: Generated<boolean>
    created_at: Date
  }
  teams: {
    organization_id: string
    id: string
    name: string
    description: string | null
    created_by: string | null
    idempotency_key: string | null
    idempotency_hash: Buffer | null
    created_at: Date
    updated_at: Date
  }
  totp_factors: {
    account_id: string
    id: string
    seed: Buffer
    confirmed_at: Date | null
    expires_at: Date | null
    last_step: Generated<number>
    last_used_at: Date | null
    session_id: string | null
    step_up_id: string
    step_up_method: 'password' | 'totp' | 'passkey' | 'recovery_code' | 'sign_in'
    created_at: Date
    updated_at: Date
  }
  users: {
    organization_id: string
    id: string
    account_id: string
    email: string
    email_key: string
    name: string | null
    role: 'owner' | 'admin' | 'reviewer' | 'auditor'
    is_active: Generated<boolean>
    created_at: Date
    updated_at: Date
  }
}
