/**
 * The load process: makes the calls and receives the callbacks. It is a separate process so that its processor time is not
 * counted as the service's. Its first message is the Setup, each later one a Job, one at a time.
 */
import { type CallbackTimes, openServiceAct, type World } from './acts.ts'
import { type Act, runClosedLoop } from './closed-loop.ts'
import { loadedIds } from './database.ts'
import type { Job, PerProcess, Reply, Result, Setup } from './plan.ts'
import { cpuSeconds, memoryMiB } from './processes.ts'
import { openRawInserts } from './raw-inserts.ts'
import { openReceiver } from './receiver.ts'

let world: World | undefined
let created = 0

async function prepare(setup: Setup): Promise<World> {
  const loaded = await loadedIds(setup.database)
  const receiver = await openReceiver()
  const onCreated = (): void => {
    created += 1
  }
  return { setup, receiver, loaded, undecided: loaded.values(), onCreated }
}

async function perform(job: Job, known: World): Promise<Result> {
  const { setup } = known
  const isFloor = job.measurement.startsWith('floor ')
  const watched = isFloor ? { ...setup, servicePid: setup.floor.pid } : setup
  const open =
    job.measurement === 'raw inserts'
      ? await openRawInserts(setup.database, job.concurrency)
      : openServiceAct(job.measurement, job.concurrency, known)
  created = 0
  const edges: { readonly at: number; readonly cpu: CpuSeconds | null; readonly memory: PerProcess | null }[] = []
  const onEdge = (): void => {
    edges.push({ at: performance.now(), cpu: cpuSeconds(watched), memory: memoryMiB(watched) })
  }
  const measured = await runClosedLoop(open.act as Act<CallbackTimes>, { ...job, onEdge })
  await open.close()
  const { fromCall, fromReply } = measured.times
  const [begin, end] = edges
  return {
    job,
    perSecond: measured.perSecond,
    latency: measured.latency,
    callback: fromCall === undefined || fromReply === undefined ? null : { fromCall, fromReply },
    errors: measured.errors,
    created: isFloor ? 0 : created,
    cores: begin?.cpu && end?.cpu ? coresBusy(begin.cpu, end.cpu, (end.at - begin.at) / 1_000) : null,
    memory: end?.memory ?? null,
  }
}

type CpuSeconds = NonNullable<ReturnType<typeof cpuSeconds>>

function coresBusy(before: CpuSeconds, after: CpuSeconds, seconds: number): NonNullable<Result['cores']> {
  const busy = (name: keyof CpuSeconds): number => (after[name] - before[name]) / seconds
  const [service, postgres, load] = [busy('service'), busy('postgres'), busy('load')]
  return { service, postgres, load, others: Math.max(0, busy('machine') - service - postgres - load) }
}

function reply(message: Reply): void {
  process.send?.(message)
}

process.on('message', (message: Setup | Job) => {
  const work = async (): Promise<void> => {
    if ('serviceUrl' in message) {
      world = await prepare(message)
      reply({ ready: true })
    } else if (world !== undefined) {
      reply({ result: await perform(message, world) })
    }
  }
  work().catch((error: unknown) => reply({ failure: error instanceof Error ? (error.stack ?? '') : String(error) }))
})
// Ctrl-C reaches both processes, and the main one stops this one. If the main process is gone, the load has no purpose.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit())
