import { availableParallelism, cpus, totalmem } from 'node:os'
import { floors, type Latency, type ListFigure, mostMs, type PerProcess, type Result } from './plan.ts'

/** A Markdown table whose columns also line up as plain text: the first column aligned left, the rest right. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const pad = (text: string, column: number): string =>
    column === 0 ? text.padEnd(widths[0] ?? 0) : text.padStart(widths[column] ?? 0)
  const line = (cells: readonly string[]): string => `| ${cells.map(pad).join(' | ')} |`
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [line(head), rule, ...rows.map(line)].join('\n')
}

const number = (value: number, digits: number): string => (Number.isFinite(value) ? value.toFixed(digits) : '-')

const latency = ({ p50, p99 }: Latency): readonly string[] => [number(p50, 2), number(p99, 2)]

const figures = (values: readonly (number | undefined)[], digits: number): readonly string[] =>
  values.map((value) => number(value ?? Number.NaN, digits))

const errorCount = ({ errors }: Result): number => Object.values(errors).reduce((sum, count) => sum + count, 0)

export function machineLine(database: string): string {
  const memory = `${(totalmem() / 2 ** 30).toFixed(0)} GiB`
  const processor = `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'})`
  return `${processor}, ${memory}, ${process.platform} ${process.arch}, Node ${process.version}, ${database}`
}

export function throughputTable(results: readonly Result[]): string {
  const head = ['measurement', 'at once', 'per second', '/ floor', 'p50 ms', 'p99 ms', 'errors']
  const cores = ['cores: service', 'PostgreSQL', 'load', 'others']
  const rows = results.map((result) => [
    result.job.measurement,
    String(result.job.concurrency),
    number(result.perSecond, 0),
    number(result.perSecond / floorOf(result, results), 2),
    ...latency(result.latency),
    String(errorCount(result)),
    ...figures([result.cores?.service, result.cores?.postgres, result.cores?.load, result.cores?.others], 2),
  ])
  return table([...head, ...cores], rows)
}

/** Times from the decision to the callback; empty if no lifecycles were measured. */
export function callbackTable(results: readonly Result[]): string {
  const rows = results.flatMap(({ job, callback }) =>
    callback === null
      ? []
      : [[`${job.measurement}, ${job.concurrency}`, ...latency(callback.fromCall), ...latency(callback.fromReply)]],
  )
  if (rows.length === 0) return ''
  const head = ['decision to callback, at once', 'from call p50 ms', 'p99 ms', 'from reply p50 ms', 'p99 ms']
  return table(head, rows)
}

export function memoryTable(idle: PerProcess | null, results: readonly Result[]): string {
  const head = ['memory, MiB', 'service (RSS)', 'PostgreSQL (PSS)']
  const own = results.filter(({ job }) => !job.measurement.startsWith('floor '))
  const highest = (name: 'service' | 'postgres'): number =>
    Math.max(...own.map(({ memory }) => memory?.[name] ?? Number.NaN))
  return table(head, [
    ['after the start', ...figures([idle?.service, idle?.postgres], 0)],
    ['highest after a measurement', ...figures([highest('service'), highest('postgres')], 0)],
  ])
}

/** What the floor did at the same concurrency in the same run; NaN where it was not measured. */
function floorOf({ job }: Result, results: readonly Result[]): number {
  const floor = results.find(
    (one) => one.job.measurement === floors[job.measurement] && one.job.concurrency === job.concurrency,
  )
  return floor?.perSecond ?? Number.NaN
}

/** Creates as a share of raw inserts, where both were measured. */
export function ratioLines(results: readonly Result[]): string {
  const at = (measurement: string, concurrency: number): number | undefined =>
    results.find(({ job }) => job.measurement === measurement && job.concurrency === concurrency)?.perSecond
  return results
    .filter(({ job }) => job.measurement === 'creates')
    .flatMap(({ job: { concurrency }, perSecond }) => {
      const raw = at('raw inserts', concurrency)
      return raw === undefined ? [] : [`creates / raw inserts at ${concurrency}: ${number(perSecond / raw, 2)}`]
    })
    .join('\n')
}

/** One line per error message; empty if there were none. */
export function errorLines(results: readonly Result[]): string {
  return results
    .flatMap(({ job, errors }) =>
      Object.entries(errors).map(
        ([text, count]) => `ERROR ${job.measurement} at ${job.concurrency}: ${count} times: ${text}\n`,
      ),
    )
    .join('')
}

/** The slowest first. */
export function listTable(figures: readonly ListFigure[]): string {
  const head = ['list', 'as', 'page', 'items', 'p50 ms', 'p99 ms']
  const rows = figures
    .toSorted((a, b) => b.p99 - a.p99)
    .map(({ list, who, page, items, ...times }) => [list, who, page, String(items), ...latency(times)])
  const late = figures.filter(({ p99 }) => p99 > mostMs).length
  return `${table(head, rows)}\n\n${late} of ${figures.length} have a p99 above ${mostMs} ms`
}
