import { readdirSync, readFileSync } from 'node:fs'
import type { PerProcess } from './plan.ts'

/** Linux reports processor time to programs in hundredths of a second on every architecture (USER_HZ, proc(5)). */
const ticksPerSecond = 100

interface Process {
  readonly pid: number
  readonly parent: number
  readonly cpuSeconds: number
  /** Of the children that have ended and were waited for. */
  readonly endedChildrenCpuSeconds: number
}

function readProcess(pid: number): Process | null {
  try {
    // The name in parentheses may contain anything, so fields are counted from the last parenthesis. `parent` is field 4.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const seconds = (user: number): number => (Number(fields[user]) + Number(fields[user + 1])) / ticksPerSecond
    return { pid, parent: Number(fields[1]), cpuSeconds: seconds(11), endedChildrenCpuSeconds: seconds(13) }
  } catch {
    return null
  }
}

/** A process and its direct children: PostgreSQL's backends, or the service's workers. */
function familyOf(pid: number, except: number): readonly Process[] {
  const all = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (readProcess(Number(name)) ?? []) : []))
  return all.filter((one) => one.pid === pid || (one.parent === pid && one.pid !== except))
}

function cpuOf(pid: number, except: number): number {
  return familyOf(pid, except).reduce(
    (sum, one) => sum + one.cpuSeconds + (one.pid === pid && except === 0 ? one.endedChildrenCpuSeconds : 0),
    0,
  )
}

function kilobytesOf(path: string, label: string): number {
  try {
    return Number(new RegExp(`^${label}:\\s+(\\d+) kB`, 'm').exec(readFileSync(path, 'latin1'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

/** The first processes of the service and of PostgreSQL, which is a child of the service but counted separately. */
export interface Watched {
  readonly servicePid: number
  readonly postgresPid: number
}

/** Processor seconds used so far by each group and by the whole machine; null without /proc. */
export function cpuSeconds({ servicePid, postgresPid }: Watched): (PerProcess & { readonly machine: number }) | null {
  if (process.platform !== 'linux') return null
  // user, nice, system, idle, iowait, irq, softirq. Later fields belong to the hypervisor or are already counted.
  const ticks = readFileSync('/proc/stat', 'latin1').split(/\s+/, 8).map(Number)
  const { user, system } = process.cpuUsage()
  return {
    service: cpuOf(servicePid, postgresPid),
    postgres: cpuOf(postgresPid, 0),
    load: (user + system) / 1e6,
    machine: [1, 2, 3, 6, 7].reduce((sum, field) => sum + (ticks[field] ?? 0), 0) / ticksPerSecond,
  }
}

/**
 * Memory in use, in MiB; null without /proc. Resident pages (RSS) for Node. For PostgreSQL the proportional share (PSS),
 * because its processes share buffers and a sum of RSS would count the same pages once per connection.
 */
export function memoryMiB({ servicePid, postgresPid }: Watched): PerProcess | null {
  if (process.platform !== 'linux') return null
  const sum = (pid: number, except: number, file: string, label: string): number =>
    familyOf(pid, except).reduce((total, one) => total + kilobytesOf(`/proc/${one.pid}/${file}`, label), 0) / 1024
  return {
    service: sum(servicePid, postgresPid, 'status', 'VmRSS'),
    postgres: sum(postgresPid, 0, 'smaps_rollup', 'Pss'),
    load: process.memoryUsage.rss() / 2 ** 20,
  }
}
