import { setImmediate } from 'node:timers/promises'
import { type HtmlPage, htmlPage, escaped as text } from '../../http/html-page.ts'
import { assuranceWords, table } from '../page-parts.ts'
import { decisionVoided, type ExceptionLine, selfApproval, type Times } from './report.ts'
import type { Report } from './service.ts'

const style = `
body { max-width: 70rem; margin: 2rem auto; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; margin-bottom: 1rem; }
th, td { border-bottom: 1px solid #8886; padding: .35rem .6rem .35rem 0; text-align: left; vertical-align: top; }
td { overflow-wrap: anywhere; }
code { overflow-wrap: anywhere; }
.limits { border: 1px solid #8886; padding: .6rem 1rem; }
`

export interface ReportPage extends Pick<HtmlPage, 'policy'> {
  readonly pieces: AsyncIterable<string>
}

/** Stands in the page for the long tables; escaped text has none. */
const gap = '\0'

/** The report as a self-contained page to read, print and keep: no script, image, form or frame, and everything is escaped. */
export function reportPage(report: Report): ReportPage {
  const names = new Map(report.names.map((one) => [one.id, one]))
  const named = (id: string | null): string => {
    if (id === null) return '–'
    const known = names.get(id)
    const called = [known?.name, known?.email == null ? null : `<${known.email}>`].filter((part) => part != null)
    return [...called, id].join(' ')
  }
  const { html, policy } = htmlPage({ title: titleOf(report), body: bodyOf(report), style, isFile: true })
  return {
    policy,
    pieces: filled(html.split(gap), [
      report.people.map(({ id, decisions, approvals, seconds }) => [
        named(id),
        decisions,
        approvals,
        ...timesText(seconds),
      ]),
      report.exceptions.listed.map((line) => exceptionCells(line, named)),
      report.listed.map((one) => [
        one.decided_at,
        one.request_id,
        one.decision,
        named(one.decided_by),
        one.role ?? '–',
        assuranceWords[one.assurance],
        named(one.agent_id),
        duration(one.seconds),
      ]),
    ]),
  }
}

/** Rows that are escaped in one turn. */
const rowsAtOnce = 100

async function* filled(
  around: readonly string[],
  tables: readonly (readonly (readonly unknown[])[])[],
): AsyncGenerator<string> {
  for (const [at, html] of around.entries()) {
    yield html
    const rows = tables[at] ?? []
    for (let from = 0; from < rows.length; from += rowsAtOnce) {
      yield rows
        .slice(from, from + rowsAtOnce)
        .map((cells) => `<tr>${cells.map((cell) => `<td>${text(cell)}</td>`).join('')}</tr>`)
        .join('\n')
      await setImmediate()
    }
  }
}

function titleOf({ since, until }: Report): string {
  return `Compliance report ${since.toISOString()} to ${until.toISOString()}`
}

function bodyOf(report: Report): string {
  const { organizationId, generatedAt, events, requests, decisions, people, listed, exceptions, seals } = report
  return `<h1>Compliance report</h1>
<p>What the audit of organization <code>${text(organizationId)}</code> says of ${text(report.since.toISOString())} up to
${text(report.until.toISOString())}, made ${text(generatedAt.toISOString())} from ${events} events.</p>
${limits(report)}
<h2>Requests</h2>
${counts('What happened', requests)}
<h2>Decisions</h2>
<p>Decisions by people: ${decisions.total}. A decision that was taken back, or became void, is among them, and among the exceptions.</p>
${counts('Decision', decisions.by_decision)}
${counts(
  'How they had signed in',
  Object.fromEntries(Object.entries(decisions.by_assurance).map(([name, n]) => [assuranceWords[name] ?? name, n])),
)}
<p>Time from what was asked to the decision: median ${text(duration(decisions.seconds.median))}, nine of ten within
${text(duration(decisions.seconds.p90))}, longest ${text(duration(decisions.seconds.longest))}.</p>
<h2>Who decided</h2>
${longTable(['Who', 'Decisions', 'Approvals', 'Median', 'Nine of ten within', 'Longest'], people.length)}
<h2>Exceptions</h2>
${counts(
  'Kind',
  Object.fromEntries(Object.entries(exceptions.counts).map(([kind, n]) => [exceptionWords[kind] ?? kind, n])),
)}
${exceptions.left_out === 0 ? '' : `<p><strong>${exceptions.left_out} more are counted above and not listed below</strong>: of each kind the first ones are.</p>`}
${longTable(['When', 'What', 'Who', 'About', 'Before', 'After', 'Reason'], exceptions.listed.length)}
<h2>Each decision</h2>
${decisions.total === listed.length ? '' : `<p><strong>${decisions.total - listed.length} more decisions are counted above and not listed below.</strong></p>`}
${longTable(['When', 'Request', 'Decision', 'Who', 'Role at the time', 'Signed in', 'Asked by', 'Time taken'], listed.length)}
<h2>How to check it</h2>
<p>Everything above is from records of the audit, except what people and agents are called, which is from today. The report itself is not
signed. These are the heads of the seals of its first and its last event; each vouches for all before it. An export of the audit, checked with
<code>hitl audit verify</code>, holds the events; the evidence pack of a request shows what was asked.</p>
${table(
  ['Seal', 'Head'],
  seals.map(({ number, head }) => [text(number), `<code>${text(head)}</code>`]),
)}`
}

/** What a reader must know before relying on the numbers. */
function limits({ until, coveredUntil, eventsLeftOut, mismatchedColumns, hasUnsealed, decisions }: Report): string {
  const said = [
    eventsLeftOut === 0
      ? null
      : `<strong>It ends at ${text(coveredUntil.toISOString())}, not at ${text(until.toISOString())}: ${eventsLeftOut}${
          eventsLeftOut >= 100_000 ? ' or more' : ''
        } later events are left out.</strong> Take another report from there.`,
    mismatchedColumns === 0
      ? null
      : `<strong>The columns of ${mismatchedColumns} events contradict their records: somebody changed them in the database.</strong>`,
    hasUnsealed ? 'The last events were not sealed yet.' : null,
    decisions.of_unknown_age === 0
      ? null
      : `What was asked in ${decisions.of_unknown_age} of the decisions is no longer in the audit, so the time taken is unknown.`,
  ].filter((one) => one !== null)
  return said.length === 0 ? '' : `<div class="limits">${said.map((one) => `<p>${one}</p>`).join('')}</div>`
}

function counts(name: string, values: Readonly<Record<string, number>>): string {
  const rows = Object.entries(values).map(([value, count]) => [text(value.replaceAll('_', ' ')), text(count)])
  return rows.length === 0 ? '<p>None.</p>' : table([name, 'How many'], rows)
}

function longTable(names: readonly string[], rows: number): string {
  if (rows === 0) return `<p>None.</p>${gap}`
  return table(names, []).replace('</tbody>', `${gap}</tbody>`)
}

const exceptionWords: Readonly<Record<string, string>> = {
  [selfApproval]: 'approved what their own agent or key asked',
  [decisionVoided]: 'a decision in its hold became void',
}

function exceptionCells(line: ExceptionLine, named: (id: string | null) => string): readonly unknown[] {
  const { kind, at, actor_kind, actor_id, subject_kind, subject_id, before, after, reason } = line
  return [
    at,
    exceptionWords[kind] ?? kind,
    actor_id === null ? actor_kind : named(actor_id),
    `${subject_kind} ${named(subject_id)}`,
    before === null ? '–' : JSON.stringify(before),
    after === null ? '–' : JSON.stringify(after),
    reason ?? '–',
  ]
}

const timesText = ({ median, p90, longest }: Times): readonly string[] => [median, p90, longest].map(duration)

/** As people say it, in two units. */
function duration(seconds: number | null): string {
  if (seconds === null) return 'unknown'
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`
}
