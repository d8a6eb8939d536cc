import { mkdtemp, rm } from 'node:fs/promises'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { countRequests, describeDatabase, findDatabase, loadRequests } from './database.ts'
import { startFloor } from './floor-process.ts'
import { measureLists } from './lists.ts'
import { startLoadProcess } from './load-process.ts'
import {
  type Connection,
  concurrencies,
  floors,
  type Job,
  loadedRequests,
  type Measurement,
  measurements,
  type Result,
} from './plan.ts'
import { memoryMiB } from './processes.ts'
import { callbackTable, errorLines, machineLine, memoryTable, ratioLines, throughputTable } from './report.ts'
import { logIn, startService } from './service.ts'

const usage = `npm run bench -- [--quick] [--only <name>]... [--at <concurrency>]...
       npm run bench -- --fresh [--at <concurrency>]
       npm run bench -- --lists [--plans] [--quick]
  --quick  2 s per figure instead of 5 s, with a tenth of the requests in the table: rougher
  --only   ${measurements.join(', ')}
  --at     ${concurrencies.join(', ')}
  --fresh  lifecycles on a new, empty installation from its first request on: one minute in slices of 5 s
  --lists  every list, queue and count with 1 000 000 requests in the table (--quick: 100 000)
  --plans  PostgreSQL's plan of each list that is slower than meant
`

const times = { full: { warmUpMs: 1_500, measuredMs: 5_000 }, quick: { warmUpMs: 500, measuredMs: 2_000 } }
/** Before the first measurement, so that it does not include compiling code and opening connections. */
const firstWarmUpMs = { full: 3_000, quick: 1_000 }

const print = (text: string): void => void process.stdout.write(text)
const progress = (text: string): void => void process.stderr.write(text)
const began = performance.now()
const step = (text: string): void =>
  progress(`${((performance.now() - began) / 1_000).toFixed(0).padStart(4)} s  ${text}\n`)

interface Options {
  readonly pace: 'full' | 'quick'
  readonly only: readonly Measurement[]
  readonly at: readonly number[]
  readonly fresh: boolean
  readonly lists: boolean
  readonly plans: boolean
}

function readOptions(): Options | null {
  const text = { type: 'string', multiple: true } as const
  try {
    const { values } = parseArgs({
      options: {
        quick: { type: 'boolean' },
        fresh: { type: 'boolean' },
        lists: { type: 'boolean' },
        plans: { type: 'boolean' },
        only: text,
        at: text,
      },
    })
    const names = values.only?.flatMap((list) => list.split(',').map((name) => name.trim()))
    const only = measurements.filter((name) => names?.includes(name) ?? true)
    const at = concurrencies.filter((count) => values.at?.includes(String(count)) ?? true)
    const known = (names?.length ?? only.length) === only.length && (values.at?.length ?? at.length) === at.length
    const pace = values.quick ? 'quick' : 'full'
    const { fresh = false, lists = false, plans = false } = values
    return known && only.length > 0 && at.length > 0 ? { pace, only, at, fresh, lists, plans } : null
  } catch {
    return null
  }
}

/** What is compared takes turns, so that both find the machine in the same state. */
function planJobs({ pace, only, at, fresh }: Options): readonly Job[] {
  if (fresh) {
    const slice = { measurement: 'lifecycles', warmUpMs: 0, measuredMs: 5_000 } as const
    const [concurrency = 16] = at.length < concurrencies.length ? at : [16]
    return Array.from({ length: 12 }, () => ({ ...slice, concurrency }))
  }
  const job = (measurement: Measurement, concurrency: number): Job => ({ measurement, concurrency, ...times[pace] })
  const wanted = measurements.filter((name) => only.includes(name) || only.some((one) => floors[one] === name))
  const groups = Object.values(
    Object.groupBy(wanted, (name) => name.split(' ').at(-1)?.replace('inserts', 'creates') ?? ''),
  )
  return groups.flatMap((group = []) => at.flatMap((concurrency) => group.map((name) => job(name, concurrency))))
}

const stops: (() => Promise<unknown>)[] = []
let stopping: Promise<void> | undefined

/** Undoes everything, last first. After a failure it still undoes the rest. */
function stopAll(): Promise<void> {
  const undo = async (): Promise<void> => {
    for (const stop of stops.toReversed()) {
      await stop().catch((error: unknown) => progress(`clean-up: ${error instanceof Error ? error.message : error}\n`))
    }
  }
  stopping ??= undo()
  return stopping
}

async function measure(options: Options): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'hitl-bench-'))
  stops.push(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  step('starting the service')
  const started = await startService(folder)
  stops.push(started.stop)
  const service = await started.listening
  const { connection, pid: postgresPid } = await findDatabase(service.dataDir)
  if (options.lists) {
    const { text, errors } = await measureLists(service, connection, { ...options, step })
    print(`\n${machineLine(await describeDatabase(connection))}\n\n${text}\n`)
    if (errors !== '') print(`\n${errors}`)
    return errors === '' ? 0 : 1
  }
  const watched = { servicePid: service.pid, postgresPid }
  const idle = memoryMiB(watched)
  if (!options.fresh) {
    step('loading the table')
    await loadRequests(connection, loadedRequests[options.pace])
  }
  const before = await countRequests(connection)

  const floorProcess = startFloor(connection)
  stops.push(floorProcess.stop)
  const floor = await floorProcess.listening
  const load = startLoadProcess()
  stops.push(load.stop)
  const reviewerToken = await logIn(service)
  await load.prepare({
    serviceUrl: service.url,
    apiKey: service.apiKey,
    loadedRequests: loadedRequests[options.pace],
    reviewerToken,
    database: connection,
    floor,
    ...watched,
  })
  const results: Result[] = []
  const warmUps: Result[] = []
  if (!options.fresh) {
    step('warming up')
    const pace = { warmUpMs: 0, measuredMs: firstWarmUpMs[options.pace] }
    for (const measurement of ['floor lifecycles', 'lifecycles'] as const) {
      warmUps.push(await load.perform({ measurement, concurrency: 16, ...pace }))
    }
  }
  for (const job of planJobs(options)) {
    step(`${job.measurement} at ${job.concurrency}`)
    results.push(await load.perform(job))
  }
  const losses = await countLosses(connection, before, [...warmUps, ...results])
  const database = await describeDatabase(connection)
  const order = (result: Result): number => measurements.indexOf(result.job.measurement)
  const sorted = results.toSorted((a, b) => order(a) - order(b))
  const parts = [machineLine(database), throughputTable(sorted), ratioLines(sorted), callbackTable(sorted)]
  const text = [...parts, memoryTable(idle, results)].filter((part) => part !== '').join('\n\n')
  print(`\n${text}\n`)
  const errors = errorLines([...warmUps, ...sorted]) + losses
  if (errors !== '') print(`\n${errors}`)
  return errors === '' ? 0 : 1
}

/** The table must hold exactly the creates that returned 201. Calls that failed may have created a request too. */
async function countLosses(connection: Connection, before: number, results: readonly Result[]): Promise<string> {
  const answered = results.reduce((sum, { created }) => sum + created, 0)
  const found = (await countRequests(connection)) - before
  return found === answered ? '' : `ERROR ${answered} creates returned 201, ${found} are in the table\n`
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (stopping === undefined) progress(`\n${signal}: stopping\n`)
    stopAll().then(() => process.exit(128 + constants.signals[signal]))
  })
}

const options = readOptions()
if (options === null) {
  progress(usage)
  process.exitCode = 64
} else {
  try {
    process.exitCode = await measure(options)
  } catch (error) {
    // After a signal, errors are expected: everything is being stopped.
    if (stopping === undefined) progress(`${error instanceof Error ? error.stack : error}\n`)
    process.exitCode = 1
  }
  await stopAll()
}
