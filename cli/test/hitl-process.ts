import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const program = join(import.meta.dirname, '../bin/hitl.mjs')

export interface RunOptions {
  readonly environment?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly input?: string
  /** Another copy of the command. */
  readonly program?: string
}

export interface Ended {
  readonly code: number | string
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcess
  readonly stdout: string
  readonly stderr: string
  readonly ended: Promise<Ended>
}

/** The real command in a child process. Of the caller's environment only these three variables reach it. */
export function start(args: readonly string[], options: RunOptions = {}): Running {
  const { PATH = '', HOME = '', NODE_COMPILE_CACHE = '' } = process.env
  const child = spawn(process.execPath, ['--no-deprecation', options.program ?? program, ...args], {
    cwd: options.cwd ?? tmpdir(),
    env: { PATH, HOME, NODE_COMPILE_CACHE, NODE_ENV: 'test', ...options.environment },
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
  const ended = once(child, 'close').then(([code, signal]) => ({ code: (code ?? signal) as number, stdout, stderr }))
  return {
    child,
    ended,
    get stdout() {
      return stdout
    },
    get stderr() {
      return stderr
    },
  }
}

export function hitl(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return start(args, options).ended
}

export async function temporaryFolder(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'hitl cli ü '))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}

/** The words of a line as a shell splits them: at blanks, except between single quotes. */
export function wordsOf(line: string): readonly string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '')
}

/** The last `hitl` command of an example, without variables set before it and the commands it is piped from and to. */
export function commandOf(line: string): readonly string[] {
  const pieces = line.split(/[|>]/).map((piece) => /(?:^|\s)hitl\s(.*)$/.exec(piece)?.[1])
  return wordsOf(pieces.findLast((piece) => piece !== undefined) ?? '')
}
