import { createPublicKey, verify } from 'node:crypto'
import type { ProvenEvent } from './store.ts'

/** open: it cannot be said, because something is not sealed yet, was erased, left out or signed with a key that leaked. */
export interface Check {
  readonly check: string
  readonly result: 'holds' | 'fails' | 'open'
  /** A sentence for people. */
  readonly detail: string
}

export type Members = Readonly<Record<string, unknown>>

/** What the request asked before its agent revised it, newest first. */
export interface EarlierRevisions {
  readonly revisions: readonly {
    readonly revision: number
    /** As their route shows it, as JSON. */
    readonly json: string
    readonly digest: string
    /** Computed from what the row says now; null once it was erased. */
    readonly computed: string | null
  }[]
  /** How many of the oldest are not in the pack. */
  readonly leftOut: number
}

export interface Checked {
  readonly organizationId: string
  readonly requestId: string
  /** The request as its route shows it. */
  readonly request: Members
  /** Of what was asked, computed from what the row says now. */
  readonly digest: string
  /** What a certificate says of the answer, computed from what the row says now; null when there is none, or it was erased. */
  readonly answered: Members | null
  readonly certificate: string | null
  readonly earlier: EarlierRevisions
  readonly events: readonly ProvenEvent[]
  readonly eventsTotal: number
  /** Events that say what was erased. */
  readonly erasures: readonly ProvenEvent[]
  readonly keys: readonly Members[]
}

/**
 * What the pack itself shows about the request: its row, its sealed events and its certificate must say the same. Everything is
 * computed from what the pack holds, so that anybody can compute it again.
 */
export function checksOf(pack: Checked): readonly Check[] {
  const events = pack.events.map((event) => ({ ...event, said: JSON.parse(event.record) as Members }))
  const find = (kind: string) => events.findLast(({ said }) => said.kind === kind)
  const created = find('request.created')
  const asking = events.findLast(({ said: { kind } }) => askingKinds.has(kind))
  // Its files change what is asked as long as it is open; a person's own files do not.
  const asked = events.findLast(
    ({ said: { kind, digest } }) => askingKinds.has(kind) || (`${kind}`.startsWith('attachment.') && digest !== null),
  )
  // An event that takes a held decision back, or makes it void, has the end of its hold; a revision begins undecided.
  const openAgainAt = events.findLastIndex(
    ({ said: { kind, before } }) => kind === 'request.revised' || member(before, 'held_until') !== undefined,
  )
  const responded = events.slice(openAgainAt + 1).findLast(({ said }) => said.kind === 'request.responded')
  const redeemed = find('request.redeemed')
  const isWhole = pack.events.length === pack.eventsTotal
  const response = pack.request.response as Members | null
  const opened = openCertificate(pack)
  const claims = opened?.claims ?? null
  const missing = (what: string) => (isWhole ? `no event says ${what}` : null)
  // Where events are left out, the one that counts may be among them.
  const last = (difference: string | false) => (isWhole || difference === false ? difference : null)

  return [
    digestCheck(pack.request, pack.digest),
    compare('asked', 'What the row says was asked is what the sealed event of the question says.', [
      created === undefined && missing('that it was asked'),
      created !== undefined && last(differ('digest', asked?.said.digest, pack.request.digest)),
      created !== undefined && differ('agent', member(created.said.actor, 'id'), pack.request.agent_id),
      created !== undefined && differ('time', created.said.occurred_at, pack.request.created_at),
      asking !== undefined &&
        isNamed(asking, 'title') &&
        last(differ('title', said(asking, 'title'), pack.request.title)),
      // Events of version 0.2.0 name no risk.
      member(asking?.said.after, 'risk') !== undefined &&
        last(differ('risk', member(asking?.said.after, 'risk'), pack.request.risk_proposed)),
      asking !== undefined &&
        last(differ('revision', member(asking.said.after, 'revision') ?? 1, pack.request.revision)),
    ]),
    revisionsCheck(
      pack,
      events.map(({ said }) => said),
    ),
    compare('decision', 'Decision, time and responder are the same in the row, the sealed event and the certificate.', [
      ...(response === null
        ? [
            responded !== undefined && 'an event says that it was decided, and the row does not',
            pack.certificate !== null && 'there is a certificate without a decision',
          ]
        : [
            responded === undefined && missing('that it was decided'),
            ...(responded === undefined
              ? []
              : [
                  differ('decision', member(responded.said.after, 'decision'), response.decision),
                  differ('digest', responded.said.digest, pack.request.digest),
                  isFar(responded.said.occurred_at, response.responded_at) && 'the time differs',
                  differ('responder', member(responded.said.actor, 'id'), response.responder_id),
                  isNamed(responded, 'comment') && differ('comment', said(responded, 'comment'), response.comment),
                ]),
            ...answerClaims.map(
              (name) =>
                claims !== null &&
                pack.answered !== null &&
                differText(`certified ${name}`, claims[name], pack.answered[name]),
            ),
            ...answerClaims
              .slice(1)
              .map(
                (name) =>
                  claims !== null &&
                  responded !== undefined &&
                  differ(`certified ${name}`, claims[name], member(responded.said.after, name)),
              ),
            claims !== null && differ('certified decision', claims.decision, response.decision),
            claims !== null && differ('certified time', claims.decided_at, response.responded_at),
            pack.certificate === null && !isHeld(pack.request) && 'there is no certificate',
          ]),
    ]),
    certificateCheck(pack, opened),
    compare('redeemed', 'The use of the approval is the same in the row and the sealed event.', [
      redeemed === undefined
        ? pack.request.redeemed_at !== null && missing('that it was used')
        : differ('time', member(redeemed.said.after, 'redeemed_at'), pack.request.redeemed_at),
    ]),
    sealsCheck(pack),
    erasuresCheck(pack),
  ]
}

/** Each says what is asked from then on. */
const askingKinds: ReadonlySet<unknown> = new Set(['request.created', 'request.revised'])

function revisionsCheck({ earlier, events, eventsTotal, request }: Checked, said: readonly Members[]): Check {
  const revised = new Map(
    said.filter(({ kind }) => kind === 'request.revised').map(({ before }) => [member(before, 'revision'), before]),
  )
  const kept = new Set(earlier.revisions.map(({ revision }) => revision))
  const count = Number(request.revision) - 1 - earlier.leftOut
  const expected = Array.from({ length: count }, (_, at) => earlier.leftOut + at + 1)
  const isWhole = events.length === eventsTotal
  const check = compare('revisions', 'What was asked before is what the sealed events of the revisions say.', [
    ...expected.map((number) => !kept.has(number) && `revision ${number} is missing`),
    ...earlier.revisions.flatMap(({ revision, digest, computed }) => {
      const event = revised.get(revision)
      return [
        computed !== null && differ(`computed digest of revision ${revision}`, computed, digest),
        event === undefined
          ? isWhole
            ? `no event says that revision ${revision} was revised`
            : null
          : differ(`digest of revision ${revision}`, member(event, 'digest'), digest),
      ]
    }),
  ])
  if (earlier.leftOut === 0 || check.result === 'fails') return check
  return { ...check, result: 'open', detail: `The first ${earlier.leftOut} revisions are left out of the pack.` }
}

const isHeld = ({ held_until: until }: Members): boolean => until !== null && until !== undefined

/** The text names what contradicts. */
function compare(check: string, detail: string, findings: readonly (string | false | null)[]): Check {
  const found = findings.filter((finding) => typeof finding === 'string')
  if (found.length > 0) return { check, result: 'fails', detail: `They contradict: ${found.join('; ')}.` }
  return findings.includes(null)
    ? { check, result: 'open', detail: 'The event that says it is left out of the pack.' }
    : { check, result: 'holds', detail }
}

function differ(what: string, one: unknown, other: unknown): string | false {
  const [is, was] = [one ?? null, other ?? null]
  return is !== was && `the ${what} differs`
}

/** What a certificate says of an answer beside its decision; its events say the digests, too. */
const answerClaims = ['choices', 'data_digest', 'args_digest', 'attachments_digest']

const differText = (what: string, one: unknown, other: unknown): string | false =>
  differ(what, JSON.stringify(one), JSON.stringify(other))

/** An event's time is taken a moment after that of the act. */
const isFar = (one: unknown, other: unknown): boolean =>
  !(Math.abs(Date.parse(`${one}`) - Date.parse(`${other}`)) <= 2_000)

const member = (value: unknown, name: string): unknown => (value as Members | null | undefined)?.[name]
const said = ({ erasable }: ProvenEvent, name: string): unknown =>
  erasable === null ? undefined : (JSON.parse(erasable) as Members)[name]
const isNamed = (event: ProvenEvent, name: string): boolean => said(event, name) !== undefined

function digestCheck({ digest, erased_at: erasedAt }: Members, computed: string): Check {
  const check = 'digest'
  if (erasedAt != null) {
    return {
      check,
      result: 'open',
      detail: `What was asked was erased at ${erasedAt}; the digest stays.`,
    }
  }
  if (computed === digest) {
    return { check, result: 'holds', detail: 'The digest follows from what was asked.' }
  }
  const detail = 'What was asked was changed afterwards: its digest is another one.'
  return { check, result: 'fails', detail }
}

interface Opened {
  readonly claims: Members | null
  readonly revokedAt: string | null
}

function openCertificate({ certificate, keys }: Checked): Opened | null {
  return certificate === null ? null : openJws(certificate, 'hitl-decision+jwt', keys)
}

/** Claims are null when no key has signed it. */
function openJws(jws: string, typ: string, keys: readonly Members[]): Opened {
  try {
    const [header = '', payload = '', signature = ''] = jws.split('.')
    const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as Members
    const { kid, alg, typ: told } = read(header)
    const jwk = keys.find((key) => key.kid === kid)
    if (jwk === undefined || alg !== 'EdDSA' || told !== typ) return { claims: null, revokedAt: null }
    const key = createPublicKey({ key: { kty: jwk.kty, crv: jwk.crv, x: jwk.x } as never, format: 'jwk' })
    const holds = verify(null, Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url'))
    const revoked = jwk.revoked_at
    return {
      claims: holds ? read(payload) : null,
      revokedAt: revoked == null ? null : new Date(revoked as string).toISOString(),
    }
  } catch {
    return { claims: null, revokedAt: null }
  }
}

function certificateCheck({ organizationId, requestId, request, certificate }: Checked, opened: Opened | null): Check {
  const check = 'certificate'
  if (isHeld(request)) {
    const detail = `The decision is held back until ${request.held_until}. Its certificate is shown once it is released.`
    return { check, result: 'open', detail }
  }
  if (certificate === null || opened === null) {
    const detail = request.response === null ? 'There is no decision to certify.' : 'There is no certificate.'
    return { check, result: request.response === null ? 'holds' : 'fails', detail }
  }
  const { claims, revokedAt } = opened
  if (claims === null) return { check, result: 'fails', detail: 'No key in the pack has signed the certificate.' }
  const found = [
    differ('request', claims.request_id, requestId),
    differ('organization', claims.organization_id, organizationId),
    differ('revision', claims.revision, request.revision),
    differ('digest', claims.digest, request.digest),
    differ('expiry', new Date(Number(claims.exp) * 1_000).toISOString(), request.certificate_expires_at),
  ].filter((finding) => finding !== false)
  if (found.length > 0) return { check, result: 'fails', detail: `It is not about this request: ${found.join('; ')}.` }
  if (revokedAt !== null) {
    return {
      check,
      result: 'open',
      detail: `Its key leaked and was revoked at ${revokedAt}: others could have signed it.`,
    }
  }
  return { check, result: 'holds', detail: 'Its signature holds, and it is about this request, revision and digest.' }
}

function sealsCheck({ events, keys }: Checked): Check {
  const check = 'seals'
  const heads = new Map(events.flatMap(({ proof }) => (proof === null ? [] : [[proof.seal, proof.head] as const])))
  const opened = [...heads].map(([seal, head]) => ({ seal, ...openJws(head, 'hitl-audit-head+jws', keys) }))
  const unsigned = opened.filter(({ claims }) => claims === null).map(({ seal }) => seal)
  const differing = events.filter(({ standing }) => standing === 'differs').length
  if (differing > 0 || unsigned.length > 0) {
    const what = [
      ...(differing === 0 ? [] : [`${differing} events do not match their seals or their own columns`]),
      ...(unsigned.length === 0 ? [] : [`no key in the pack has signed the heads of the seals ${unsigned.join(', ')}`]),
    ]
    return { check, result: 'fails', detail: `The audit was changed: ${what.join('; ')}.` }
  }
  if (events.some(({ standing }) => standing === 'unsealed')) {
    return { check, result: 'open', detail: 'Some events are not sealed yet: take the pack again in some seconds.' }
  }
  if (opened.some(({ revokedAt }) => revokedAt !== null)) {
    const detail = 'A key that signed heads was revoked: an export shows whether later seals vouch for them.'
    return { check, result: 'open', detail }
  }
  return { check, result: 'holds', detail: 'Every event is as it was sealed, and every head is signed.' }
}

function erasuresCheck({ events, erasures }: Checked): Check {
  const check = 'erasures'
  const erased = events.flatMap(({ record, erasable }) => {
    const { id, erasable_sha256: sha256 } = JSON.parse(record) as Members
    return erasable === null && sha256 != null ? [id] : []
  })
  if (erased.length === 0) return { check, result: 'holds', detail: 'Nothing was erased.' }
  const told = (standings: readonly ProvenEvent['standing'][]) =>
    new Set(
      erasures
        .filter(({ standing }) => standings.includes(standing))
        .flatMap(({ record }) => (member((JSON.parse(record) as Members).after, 'events') as unknown[]) ?? []),
    )
  const sealed = told(['sealed'])
  const unsealed = told(['unsealed'])
  if (erased.some((id) => !sealed.has(id) && !unsealed.has(id))) {
    const detail = 'What people wrote is missing from an event, and no event says that it was erased: it was cut out.'
    return { check, result: 'fails', detail }
  }
  if (erased.some((id) => !sealed.has(id))) {
    return { check, result: 'open', detail: 'The event that says what was erased is not sealed yet.' }
  }
  return {
    check,
    result: 'holds',
    detail: `Sealed events say that personal data of ${erased.length} events was erased.`,
  }
}
