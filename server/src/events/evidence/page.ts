import { escapedJson, type HtmlPage, htmlPage, escaped as text } from '../../http/html-page.ts'
import { assuranceWords, table } from '../page-parts.ts'
import type { Check, Members } from './checks.ts'
import type { Evidence } from './service.ts'
import type { ProvenEvent } from './store.ts'

const style = `
body { max-width: 60rem; margin: 2rem auto; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; }
td { white-space: pre-wrap; }
th, td { border-bottom: 1px solid #8886; padding: .35rem .6rem .35rem 0; text-align: left; vertical-align: top; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #8881; padding: .6rem; margin: 0; }
code { overflow-wrap: anywhere; } .erased { font-style: italic; }
.checks { border: 1px solid #8886; padding: .6rem 1rem; } .fails, .fails td { font-weight: bold; }
@media print { details { display: none; } }
`

/** Stands in the page for what is long; escaped text has none. */
const gap = '\0'

/** The page in pieces. */
export interface EvidencePage extends Pick<HtmlPage, 'policy'> {
  readonly pieces: AsyncIterable<string>
}

/**
 * The pack as a self-contained page to read, print and keep: no script, image, form or frame, and everything is escaped. `pack`:
 * the pack as JSON.
 */
export function evidencePage(evidence: Evidence, pack: string): EvidencePage {
  const { html, policy } = pageWithGaps(evidence)
  return {
    policy,
    pieces: filled(html.split(gap), [
      shown(evidence.context),
      ...(evidence.values === null ? [] : [shown(evidence.values)]),
      pack,
    ]),
  }
}

async function* filled(around: readonly string[], long: readonly string[]): AsyncGenerator<string> {
  for (const [at, text] of around.entries()) {
    yield text
    yield* escapedJson(long[at] ?? '')
  }
}

function pageWithGaps(evidence: Evidence): HtmlPage {
  const request = evidence.about
  const response = request.response as Members | null
  const deliveries = JSON.parse(evidence.deliveries) as readonly Members[]
  const certified = evidence.certificate === null ? null : claimsOf(evidence.certificate)
  const names = new Map(evidence.names.map((one) => [one.id, one]))
  const named = (id: unknown): string => {
    const known = names.get(String(id))
    const called = [known?.name, known?.email == null ? null : `<${known.email}>`].filter((part) => part != null)
    return [...called, id].join(' ')
  }
  const body = `<h1>${text(request.title)}</h1>
<p>Evidence of request <code>${text(evidence.requestId)}</code> of organization <code>${text(evidence.organizationId)}</code>,
made ${text(evidence.generatedAt.toISOString())}.</p>
${checksBox(evidence.checks)}
<h2>What was asked</h2>
${facts([
  ['Asked by', named(request.agent_id)],
  ['With the key', named(request.api_key_id)],
  ['State', request.state],
  ['Risk', request.risk],
  ['Revision', request.revision],
  ['Asked at', request.created_at],
  ['Time is up at', request.timeout_at ?? 'never'],
  ['Description', request.description],
  ['Digest of what was asked', request.digest],
])}
<pre>${gap}</pre>
${earlierPart(evidence)}
<h2>What was decided</h2>
${
  response === null
    ? '<p>Nobody has decided.</p>'
    : facts([
        ['Decision', response.decision],
        ['By', named(response.responder_id)],
        ['Role at the time', roleOf(evidence.events)],
        ['How they had signed in', assuranceWords[String(certified?.assurance)]],
        ['At', response.responded_at],
        ['Comment', response.comment],
        ['Files', filesText(response.attachments)],
        ['Decided by', request.decided_by],
        ['The approval can be used until', request.certificate_expires_at],
        ['It was used', request.redeemed_at ?? (response.decision === 'approve' ? 'not yet' : null)],
      ])
}
${evidence.values === null ? '' : `<pre>${gap}</pre>`}
${evidence.certificate === null ? '' : `<p>Certificate:</p><pre>${text(evidence.certificate)}</pre>`}
<h2>What happened</h2>
${leftOut(evidence)}
${table(
  ['When', 'What', 'Who', 'Signed in with', 'What changed', 'Sealed'],
  evidence.events.map((event) => eventRow(event, named)),
)}
<h2>How the callback was delivered</h2>
${
  deliveries.length === 0
    ? '<p>No callback was sent.</p>'
    : table(
        ['When', 'Where', 'Reply', 'Error'],
        deliveries.map((one) =>
          [one.started_at, one.url, one.status_code, one.error].map((value) => text(value ?? '–')),
        ),
      )
}
<h2>How to check it</h2>
<p>Each event's record is a leaf of a Merkle tree (RFC 6962, SHA-256) whose root stands in the head of its seal, a JWS (EdDSA)
under one of the keys below. docs/audit.md of the service explains each step. The pack shows that the events with a position were sealed
as they stand here. It does not show that the request has no others: an export of the whole audit does.</p>
<details><summary>The pack, for programs</summary><pre>${gap}</pre></details>`
  return htmlPage({ title: `Evidence: ${request.title}`, body, style, isFile: true })
}

function earlierPart({ earlier: { revisions, leftOut } }: Evidence): string {
  if (revisions.length === 0) return ''
  const rows = revisions.map(({ revision, json, digest }) => {
    const { title, created_at, response } = JSON.parse(json) as Members
    const { decision = null, responded_at = null, voided_at = null } = (response ?? {}) as Members
    const answer = [decision, responded_at, voided_at === null ? null : `void since ${voided_at}`]
    return [revision, created_at, title, digest, answer.filter((part) => part !== null).join(', ') || '–'].map(
      (value) => text(value),
    )
  })
  return `<h2>What was asked before</h2>
${leftOut === 0 ? '' : `<p>The first ${leftOut} revisions are left out.</p>`}
${table(['Revision', 'Asked at', 'Title', 'Digest', 'Answer'], rows)}`
}

function checksBox(checks: readonly Check[]): string {
  const rows = checks.map(
    ({ check, result, detail }) =>
      `<tr class="${result}"><th scope="row">${text(check)}</th><td>${results[result]}</td><td>${text(detail)}</td></tr>`,
  )
  const failing = checks.filter(({ result }) => result === 'fails').length
  const verdict =
    failing > 0
      ? `<strong>DO NOT RELY ON THIS: ${failing} of ${checks.length} checks fail</strong>`
      : checks.some(({ result }) => result === 'open')
        ? 'Nothing contradicts; not everything could be checked.'
        : 'Everything in this pack agrees.'
  return `<div class="checks"><h2>Checks</h2><p>${verdict}</p><table>${rows.join('')}</table>
<p>The service made these when it made the pack. How to make them yourself is below.</p></div>`
}

const results: Readonly<Record<Check['result'], string>> = { holds: 'holds', fails: 'FAILS', open: 'cannot be said' }

/** One to a line, which no name can end, each with what proves that a copy of it is the one that was sent. */
function filesText(files: unknown): string | null {
  if (!Array.isArray(files)) return null
  return files
    .map(({ name, media_type: type, size, sha256 }) => `${name} (${type}, ${size} bytes, SHA-256 ${sha256})`)
    .join('\n')
}

/** As the event of the decision has it: the role may be another one now. */
function roleOf(events: readonly ProvenEvent[]): unknown {
  const told = events.map(({ record }) => JSON.parse(record) as Members)
  return (told.findLast(({ kind }) => kind === 'request.responded')?.after as Members | null | undefined)?.role
}

function claimsOf(certificate: string): Members | null {
  try {
    return JSON.parse(Buffer.from(certificate.split('.')[1] ?? '', 'base64url').toString('utf8')) as Members
  } catch {
    return null
  }
}

function leftOut({ events, eventsTotal }: Evidence): string {
  const count = eventsTotal - events.length
  if (count === 0) return ''
  return `<p><strong>${count} of ${eventsTotal} events are left out</strong>, between the first ${events.length / 2} and the last
${events.length / 2}. An export of the audit holds all.</p>`
}

function eventRow(
  { record, erasable, standing, proof }: ProvenEvent,
  named: (id: unknown) => string,
): readonly string[] {
  const event = JSON.parse(record) as Members
  const actor = event.actor as Members
  const said = erasable === null ? null : withoutSalt(JSON.parse(erasable) as Members)
  const erased = erasable === null && event.erasable_sha256 !== null
  const changed = { before: event.before, after: event.after, ...(said === null ? {} : { said }) }
  return [
    text(event.occurred_at),
    text(event.kind),
    `${text(actor.kind)}<br>${actor.id === null ? '' : text(named(actor.id))}`,
    text(Array.isArray(actor.signed_in_with) ? actor.signed_in_with.join(', ') : '–'),
    `<pre>${text(shown(JSON.stringify(changed)), 'json')}</pre>${erased ? '<span class="erased">Its personal data was erased.</span>' : ''}`,
    sealed(standing, proof),
  ]
}

function sealed(standing: ProvenEvent['standing'], proof: ProvenEvent['proof']): string {
  if (standing === 'differs')
    return '<strong>DOES NOT MATCH its seal: the event or the seal was changed or added afterwards</strong>'
  return proof === null ? 'not yet' : `position ${proof.position}, seal ${proof.seal}`
}

function withoutSalt({ salt: _salt, ...said }: Members): Members {
  return said
}

function facts(entries: readonly (readonly [string, unknown])[]): string {
  const rows = entries.filter(([, value]) => value != null)
  return `<table>${rows.map(([name, value]) => `<tr><th scope="row">${text(name)}</th><td>${text(value, 'lines')}</td></tr>`).join('')}</table>`
}

/** Deeper and larger values stay in one line: each of their lines could consist of indentation. */
const indentedLevels = 6
const indentedCharacters = 65_536

/** JSON text as people read it. */
function shown(json: string): string {
  return json.length > indentedCharacters ? json : indented(JSON.parse(json), '\n')
}

function indented(value: unknown, lineEnd: string): string {
  const isFlat = typeof value !== 'object' || value === null || lineEnd.length > 2 * indentedLevels
  const inner = `${lineEnd}  `
  const members = isFlat
    ? []
    : Array.isArray(value)
      ? value.map((one) => indented(one, inner))
      : Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${indented(one, inner)}`)
  if (members.length === 0) return JSON.stringify(value)
  const [begin, end] = Array.isArray(value) ? '[]' : '{}'
  return `${begin}${inner}${members.join(`,${inner}`)}${lineEnd}${end}`
}
