import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { passedOn, program } from '../service-process.ts'

export interface Ended {
  readonly code: number | string
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  readonly environment?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly input?: string
}

/** Runs one command of the service's entry in a child process without a terminal. */
export async function runCommand(args: readonly string[], options: CommandOptions = {}): Promise<Ended> {
  const child = spawn(process.execPath, ['--no-deprecation', program, ...args], {
    cwd: options.cwd ?? tmpdir(),
    env: { ...passedOn, NODE_ENV: 'test', ...options.environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  child.stdin.on('error', () => {}).end(options.input ?? '')
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  return { code: code ?? signal ?? 'gone', stdout, stderr }
}
