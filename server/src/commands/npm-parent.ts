import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const everyMs = 500
/** npm names the package in the environment of every process that its script starts. */
const packageFile = join(import.meta.dirname, '../../../package.json')

/**
 * Resolves when npm has gone that runs this process with a script of this package, as `npm start` does. npm passes a signal
 * to the shell between the two, which ends without passing it on; and if one of them is killed, no signal comes at all.
 * Never resolves for a process that was started otherwise: a service manager, nohup or setsid may well outlive the parent,
 * and so may a script that started the service in a process group of its own, as the benchmark does.
 */
export async function npmHasGone(): Promise<void> {
  const isStartedApart = groupOf(process.pid) === process.pid
  if (process.env.npm_package_json !== packageFile || isStartedApart) return new Promise(() => {})
  const parents = parentsUpToNpm()
  // npm and what it starts are one process group, and init is of another: npm may have gone before this was asked.
  if (groupOf(parents.at(-1)) !== groupOf(process.pid)) return
  while (parents.every((pid, at) => parentOf(parents[at - 1] ?? process.pid) === pid)) {
    await delay(everyMs, undefined, { ref: false })
  }
}

/** This process's parents, npm the last. Other systems than Linux do not show them: the parent alone. */
function parentsUpToNpm(): readonly number[] {
  const parents = [process.ppid]
  for (;;) {
    const last = parents.at(-1)
    const above = parentOf(last)
    const isOfScript = read(last, 'environ').split('\0').includes(`npm_package_json=${packageFile}`)
    if (!isOfScript || above === undefined) return parents
    parents.push(above)
  }
}

const parentOf = (pid: number | undefined): number | undefined => (pid === process.pid ? process.ppid : statOf(pid)[1])
const groupOf = (pid: number | undefined): number | undefined => statOf(pid)[2]

/** State, parent and process group; empty where there is no such process, or no /proc. */
function statOf(pid: number | undefined): readonly number[] {
  const [, fields = ''] = /\) (.*)$/s.exec(read(pid, 'stat')) ?? []
  return fields === '' ? [] : fields.split(' ').map(Number)
}

function read(pid: number | undefined, file: 'environ' | 'stat'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}
