import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { exitCodes } from './exit-codes.ts'
import { failed } from './failure.ts'

/** The service's own entry, where this package lies in a checkout or an image of it. Only that: never from the folder one is in. */
const entry = fileURLToPath(new URL('../../server/start.mjs', import.meta.url))

/** As in `npm start`: they keep the process small, and must stand on the command line (docs/decisions/0008-memory-flags.md). */
const nodeFlags = ['--max-semi-space-size=8', '--heap-growing-percent=40']

const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Commands on the installation itself are the service's own, which knows its database and rules. It runs in a process of
 * its own on this terminal, gets this process's signals, and its end is ours.
 */
export async function runInService(command: string, args: readonly string[]): Promise<number> {
  const [code, signal] = await endOf(startService(command, args, 'inherit'))
  // Ended by a signal: so must we be, or a shell that runs us in a loop would go on after Ctrl-C.
  if (signal !== null) process.kill(process.pid, signal)
  return code ?? exitCodes.failed
}

/** The same, but what it writes is handed over here; `ended` is its exit code. */
export function readFromService(command: string, args: readonly string[]) {
  const child = startService(command, args, 'pipe')
  const ended = endOf(child).then(([code]) => code ?? exitCodes.failed)
  return { output: child.stdout as Readable, ended }
}

function startService(command: string, args: readonly string[], output: 'inherit' | 'pipe'): ChildProcess {
  if (!existsSync(entry)) {
    throw failed(
      'service.not_here',
      `${command} is done by the service itself, and this package came without it.`,
      'Run it where the service is: in its checkout, or as "docker compose exec hitl hitl ...". ' +
        'Anywhere else, audit verify and audit export --url work.',
    )
  }
  return spawn(process.execPath, [...nodeFlags, entry, ...args], { stdio: ['inherit', output, 'inherit'] })
}

async function endOf(child: ChildProcess): Promise<readonly [number | null, NodeJS.Signals | null]> {
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal)
  for (const signal of forwarded) process.on(signal, forward)
  const { promise, resolve, reject } = Promise.withResolvers<readonly [number | null, NodeJS.Signals | null]>()
  child.on('error', reject).on('exit', (code, signal) => resolve([code, signal]))
  try {
    return await promise
  } finally {
    for (const signal of forwarded) process.off(signal, forward)
  }
}
