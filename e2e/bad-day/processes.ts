import assert from 'node:assert/strict'
import { eventually } from '../../server/test/eventually.ts'
import { request, type ServiceProcess, startService, untilReady } from '../../server/test/service-process.ts'

export type Line = Readonly<Record<string, unknown>> & { readonly level: string; readonly msg: string }

/** A process of the service that is started again and again on its port. */
export interface Member {
  readonly name: string
  readonly url: string
  readonly current: ServiceProcess
  start(more?: { readonly environment?: Readonly<Record<string, string>>; readonly main?: string }): void
  untilReady(): Promise<void>
  /** Waits for this status of /readyz. */
  untilReadiness(status: 200 | 503): Promise<HttpChecks>
  /** Gracefully, then again. */
  restart(more?: Parameters<Member['start']>[0]): Promise<void>
  kill(): Promise<void>
  /** How much it has written in its whole life; for `linesSince`. */
  readonly written: number
  linesSince(mark: number): readonly Line[]
}

type HttpChecks = Readonly<Record<string, unknown>>

export function createMember(
  name: string,
  port: number,
  cwd: string,
  environment: Readonly<Record<string, string>>,
): Member {
  const lives: ServiceProcess[] = []
  const url = `http://127.0.0.1:${port}`
  const current = () => lives.at(-1) ?? assert.fail(`${name} was never started`)
  const text = () => lives.map(({ stdout }) => stdout).join('\n')
  const member: Member = {
    name,
    url,
    get current() {
      return current()
    },
    start: (more = {}) => {
      lives.push(
        startService({
          cwd,
          environment: { ...environment, PORT: String(port), ...more.environment },
          ...(more.main === undefined ? {} : { main: more.main }),
        }),
      )
    },
    untilReady: () => untilReady(current(), url),
    untilReadiness: (status) =>
      eventually(`/readyz of ${name} is ${status}`, async () => {
        const reply = await request(url, 'GET', '/readyz').catch(() => null)
        return reply?.status === status ? (reply.body.checks as HttpChecks) : null
      }),
    restart: async (more) => {
      assert.equal(await current().end('SIGTERM'), 0, current().stderr)
      member.start(more)
      await member.untilReady()
    },
    kill: async () => {
      assert.equal(await current().end('SIGKILL'), 'SIGKILL')
    },
    get written() {
      return text().length
    },
    linesSince: (mark) =>
      text()
        .slice(mark)
        .split('\n')
        .filter((line) => line.startsWith('{') && line.endsWith('}'))
        .map((line) => JSON.parse(line) as Line),
  }
  return member
}

const serious: readonly unknown[] = ['warn', 'error', 'fatal']

/** What the processes have logged from now on, at warn or worse, as `name: message`. */
export function watchLogs(members: readonly Member[]) {
  const marks = new Map(members.map((member) => [member, member.written]))
  const lines = () =>
    members.flatMap((member) => member.linesSince(marks.get(member) ?? 0).map((line) => ({ name: member.name, line })))
  const warnings = () => lines().filter(({ line }) => serious.includes(line.level))
  return {
    lines,
    warnings: () => warnings().map(({ name, line }) => `${name}: ${line.msg}`),
    /** Waits for a line of any level, of this process. */
    until: (pattern: RegExp, { name }: Member) =>
      eventually(`a log line of ${name}: ${pattern}`, () =>
        lines().some((one) => one.name === name && pattern.test(one.line.msg)),
      ),
  }
}
