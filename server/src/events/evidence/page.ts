import { type HtmlPage, htmlPage, escaped as text } from '../../http/html-page.ts'
import { type Evidence, evidenceJson } from './service.ts'
import type { ProvenEvent } from './store.ts'

const style = `
body { max-width: 60rem; margin: 2rem auto; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; }
th, td { border-bottom: 1px solid #8886; padding: .35rem .6rem .35rem 0; text-align: left; vertical-align: top; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #8881; padding: .6rem; margin: 0; }
code { overflow-wrap: anywhere; } .erased { font-style: italic; }
@media print { details { display: none; } }
`

type Members = Readonly<Record<string, unknown>>

/** The pack as a self-contained page to read, print and keep: no script, image, form or frame, and everything is escaped. */
export function evidencePage(evidence: Evidence): HtmlPage {
  const request = JSON.parse(evidence.request) as Members
  const response = request.response as Members | null
  const deliveries = JSON.parse(evidence.deliveries) as readonly Members[]
  const body = `<h1>${text(request.title)}</h1>
<p>Evidence of request <code>${text(evidence.requestId)}</code> of organization <code>${text(evidence.organizationId)}</code>,
made ${text(evidence.generatedAt.toISOString())}.</p>
<h2>What was asked</h2>
${facts([
  ['State', request.state],
  ['Revision', request.revision],
  ['Asked at', request.created_at],
  ['Time is up at', request.timeout_at ?? 'never'],
  ['Description', request.description],
  ['Digest of what was asked', request.digest],
])}
<pre>${text(pretty(request.context))}</pre>
<h2>What was decided</h2>
${
  response === null
    ? '<p>Nobody has decided.</p>'
    : facts([
        ['Decision', response.decision],
        ['By', response.responder_id],
        ['At', response.responded_at],
        ['Comment', response.comment],
        ['Decided by', request.decided_by],
      ])
}
${evidence.certificate === null ? '' : `<p>Certificate:</p><pre>${text(evidence.certificate)}</pre>`}
<h2>What happened</h2>
${leftOut(evidence)}
${table(['When', 'What', 'Who', 'Signed in with', 'What changed', 'Sealed'], evidence.events.map(eventRow))}
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
<details><summary>The pack, for programs</summary><pre>${text(evidenceJson(evidence))}</pre></details>`
  return htmlPage({ title: `Evidence: ${request.title}`, body, style, isFile: true })
}

function leftOut({ events, eventsTotal }: Evidence): string {
  const count = eventsTotal - events.length
  if (count === 0) return ''
  return `<p><strong>${count} of ${eventsTotal} events are left out</strong>, between the first ${events.length / 2} and the last
${events.length / 2}. An export of the audit holds all.</p>`
}

function eventRow({ record, erasable, standing, proof }: ProvenEvent): readonly string[] {
  const event = JSON.parse(record) as Members
  const actor = event.actor as Members
  const said = erasable === null ? null : withoutSalt(JSON.parse(erasable) as Members)
  const erased = erasable === null && event.erasable_sha256 !== null
  const changed = { before: event.before, after: event.after, ...(said === null ? {} : { said }) }
  return [
    text(event.occurred_at),
    text(event.kind),
    `${text(actor.kind)}<br><code>${text(actor.id ?? '')}</code>`,
    text(Array.isArray(actor.signed_in_with) ? actor.signed_in_with.join(', ') : '–'),
    `<pre>${text(pretty(changed))}</pre>${erased ? '<span class="erased">Its personal data was erased.</span>' : ''}`,
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
  return `<table>${rows.map(([name, value]) => `<tr><th scope="row">${text(name)}</th><td>${text(value)}</td></tr>`).join('')}</table>`
}

function table(names: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = names.map((name) => `<th scope="col">${text(name)}</th>`).join('')
  const body = rows.map((row) => `<tr>${row.map((value) => `<td>${value}</td>`).join('')}</tr>`).join('\n')
  return `<table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table>`
}

function pretty(value: unknown): string {
  return JSON.stringify(value, null, 2)
}
