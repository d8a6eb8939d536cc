import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { exitCodes } from './exit-codes.ts'
import { failed } from './failure.ts'

/** The entry of the service, if this package is in a checkout or image of it. Never taken from the current folder. */
const entry = fileURLToPath(new URL('../../server/start.mjs', import.meta.url))

/** As in `npm start`. They keep the process small and only work on the command line (docs/decisions/0008-memory-flags.md). */
const nodeFlags = ['--max-semi-space-size=8', '--heap-growing-percent=40']

const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Runs a command on the installation itself. The service does these, because it knows its database and rules. It runs in a
 * child process on this terminal, which gets the signals of this process; this process then ends in the same way.
 */
export async function runInService(command: string, args: readonly string[]): Promise<number> {
  const [code, signal] = await endOf(startService(command, args, 'inherit'))
  // If a signal ended the child, it must end this process too, or a shell loop around it would go on after Ctrl-C.
  if (signal !== null) process.kill(process.pid, signal)
  return code ?? exitCodes.failed
}

/** The same, but returns the output of the command; `ended` is its exit code. */
export function readFromService(command: string, args: readonly string[]) {
  const child = startService(command, args, 'pipe')
  const ended = endOf(child).then(([code]) => code ?? exitCodes.failed)
  return { output: child.stdout as Readable, ended }
}

function startService(command: string, args: readonly string[], output: 'inherit' | 'pipe'): ChildProcess {
  if (!existsSync(entry)) {
    throw failed(
      'service.not_here',
      `${command} needs the service itself, and this package does not contain it.`,
      'Run it where the service is: in its checkout, or as "docker compose exec hitl hitl ...". ' +
        'Anywhere else, use audit verify and audit export --url.',
    )
  }
  // The channel tells the service when this process is killed: it must not go on without anybody to stop it.
  return spawn(process.execPath, [...nodeFlags, entry, ...args], {
    stdio: ['inherit', output, 'inherit', 'ipc'],
    env: { ...process.env, HITL_PARENT: 'hitl' },
  })
}

async function endOf(child: ChildProcess): Promise<readonly [number | null, NodeJS.Signals | null]> {
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal)
  const orphaned = (): void => forward('SIGTERM')
  for (const signal of forwarded) process.on(signal, forward)
  // Under an older Node, another process of this command stands above.
  if (process.env.HITL_HANDED_OVER !== undefined) process.on('disconnect', orphaned)
  const { promise, resolve, reject } = Promise.withResolvers<readonly [number | null, NodeJS.Signals | null]>()
  child.on('error', reject).on('exit', (code, signal) => resolve([code, signal]))
  try {
    return await promise
  } finally {
    for (const signal of forwarded) process.off(signal, forward)
    process.off('disconnect', orphaned)
  }
}
