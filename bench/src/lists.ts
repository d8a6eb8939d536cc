import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { withClient } from './database.ts'
import { type HttpClient, openHttpClient } from './http-client.ts'
import { type Loaded, loadLists } from './list-load.ts'
import { type Connection, type ListFigure, mostMs } from './plan.ts'
import { listTable } from './report.ts'
import { logIn, type Service } from './service.ts'

export const listedRequests = { full: 1_000_000, quick: 100_000 } as const
const calls = { full: 100, quick: 30 } as const
const sorts = ['newest', 'oldest', 'due', 'priority']
const states = ['pending', 'responded', 'callback_sent', 'callback_failed', 'timeout', 'cancelled', 'completed']
const queues = ['all', 'high_risk', 'due_soon', 'snoozed', 'done']

const nobody = '00000000-0000-7000-8000-000000000000'

function listsOf({ early, middle, middleDue, agent }: Loaded): readonly string[] {
  const [from, until, due] = [early, middle, middleDue].map((time) => encodeURIComponent(time.toISOString()))
  return [
    '',
    ...states.map((state) => `state=${state}`),
    ...['urgent', 'urgent,high', 'normal', 'low'].map((priority) => `priority=${priority}`),
    ...['critical', 'high,critical', 'medium', 'low'].map((risk) => `risk=${risk}`),
    ...['run_id=run-1', 'run_id=none', 'tag=shop', 'tag=rare', 'tag=none'],
    ...['metadata.n=5', 'metadata.customer=c-5', `agent=${agent}`, `agent=${nobody}`],
    ...[`created_after=${from}&created_before=${until}`, `created_before=${from}`, `due_before=${due}`],
    ...['state=pending&priority=urgent', 'state=pending&risk=high,critical', 'state=pending&tag=rare'],
    ...['state=timeout&priority=high', 'state=callback_sent&priority=high', 'risk=high&priority=urgent&tag=shop'],
    `updated_after=${encodeURIComponent(new Date(Date.now() - 3_600_000).toISOString())}`,
    ...[`created_before=${until}&risk=high`, 'state=completed&metadata.customer=c-5'],
  ]
}

interface Call {
  readonly who: string
  readonly as: string
  readonly path: string
}

/** Every filter with every sort that goes with it, each queue in each order, and the counts. */
function callsFor(loaded: Loaded, person: string, agent: string): readonly Call[] {
  const goesWith = (filter: string, sort: string): boolean =>
    sort !== 'due' || !/state=(?!pending)|queue=done/.test(filter)
  const lists = (filters: readonly string[]) =>
    sorts.flatMap((sort) =>
      filters
        .filter((filter) => goesWith(filter, sort))
        .map((filter) => `/api/v1/requests?sort=${sort}${filter && `&${filter}`}`),
    )
  const all = listsOf(loaded)
  const of = (who: string, as: string, paths: readonly string[]) => paths.map((path) => ({ who, as, path }))
  return [
    ...of('person', person, lists([...all, ...queues.map((queue) => `queue=${queue}`)])),
    ...of('agent', agent, lists(all.filter((filter) => !filter.startsWith('agent=')))),
    ...of('person', person, ['/api/v1/requests/counts']),
  ]
}

/** The cursor of a page in the middle: the place of another one, which it begins with, is moved there. */
function inTheMiddle(cursor: string, path: string, { middle, middleDue }: Loaded): string {
  const [place = '', mark] = Buffer.from(cursor, 'base64url').toString().split('/')
  const hex = middle.getTime().toString(16).padStart(12, '0')
  const id = `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`
  const rest = path.includes('sort=due') ? `~${middleDue.getTime()}` : place.slice(id.length)
  return Buffer.from(`${id}${rest}/${mark}`).toString('base64url')
}

/** A list in its words: without the path, and times by their dates. */
const wordsOf = (path: string): string =>
  decodeURIComponent(path.replace(/^.*\/requests[?/]/, '')).replaceAll(/T[\d:.]+Z/g, '')

async function timed(http: HttpClient, { as, path }: Call, count: number) {
  const times: number[] = []
  let text = ''
  for (let n = -2; n < count; n += 1) {
    const begun = performance.now()
    text = await http.call({ method: 'GET', path, as, expected: 200 })
    if (n >= 0) times.push(performance.now() - begun)
  }
  times.sort((a, b) => a - b)
  const at = (share: number): number => times[Math.ceil(times.length * share) - 1] ?? Number.NaN
  const { items = [], next_cursor: next = null } = JSON.parse(text) as {
    items?: unknown[]
    next_cursor?: string | null
  }
  return { p50: at(0.5), p99: at(0.99), items: items.length, next }
}

export interface ListOptions {
  readonly pace: 'full' | 'quick'
  readonly plans: boolean
  readonly step: (text: string) => void
}

/** Prints nothing by itself. `errors`: calls that did not return 200; each counts, and the others go on. */
export async function measureLists(service: Service, connection: Connection, { pace, plans, step }: ListOptions) {
  step(`loading ${listedRequests[pace]} requests`)
  const loaded = await loadLists(connection, listedRequests[pace], service.reviewer.email)
  const person = await logIn(service)
  const http = openHttpClient(service.url, 1)
  const figures: ListFigure[] = []
  const slow: Call[] = []
  let errors = ''
  const measure = async (call: Call, page: ListFigure['page']): Promise<string | null> => {
    try {
      const { next, ...figure } = await timed(http, call, calls[pace])
      figures.push({ who: call.who, list: wordsOf(call.path).replace(/&cursor=.*/, ''), page, ...figure })
      if (figure.p99 > mostMs) slow.push(call)
      return next
    } catch (error) {
      errors += `ERROR ${call.who} ${call.path}: ${error instanceof Error ? error.message : error}\n`
      return null
    }
  }
  step('measuring every list')
  for (const call of callsFor(loaded, person, service.apiKey)) {
    const isList = call.path.includes('?')
    const next = await measure(call, isList ? 'first' : '-')
    if (next === null) continue
    await measure({ ...call, path: `${call.path}&cursor=${inTheMiddle(next, call.path, loaded)}` }, 'middle')
  }
  if (plans && slow.length > 0) step(`plans of ${slow.length} lists`)
  const shown = plans ? await plansOf(service, connection, http, slow) : ''
  await http.close()
  return { text: [listTable(figures), shown].filter((part) => part !== '').join('\n\n'), errors }
}

/** PostgreSQL writes the plan of each statement into its log, as it was executed, for sessions that begin after this. */
async function plansOf(service: Service, connection: Connection, http: HttpClient, slow: readonly Call[]) {
  const logged = async (): Promise<string> => {
    const folder = join(service.dataDir, 'postgres', 'log')
    const names = (await readdir(folder)).toSorted()
    return (await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')))).join('')
  }
  const parts: string[] = []
  await withClient({ ...connection, user: 'postgres' }, async (client) => {
    const settings = { log_min_duration: '5ms', log_analyze: 'on', log_buffers: 'on', log_parameter_max_length: '200' }
    await client.query(`alter database hitl set session_preload_libraries = 'auto_explain'`)
    for (const [name, value] of Object.entries(settings)) {
      await client.query(`alter database hitl set auto_explain.${name} = '${value}'`)
    }
    await client.query(
      `select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = 'hitl' and pid <> pg_backend_pid()`,
    )
  })
  for (const call of slow) {
    // Meanwhile the service connects again; and what a session reads for its first statements is not the list's.
    for (let tries = 0; tries < 5; tries += 1)
      await http.call({ method: 'GET', ...call, expected: 200 }).catch(() => '')
    const before = (await logged()).length
    await http.call({ method: 'GET', ...call, expected: 200 }).catch(() => '')
    parts.push(`${call.who} ${wordsOf(call.path)}\n${(await logged()).slice(before)}`)
  }
  return parts.join('\n')
}
