import { countOf, filterOf, filterOptions } from '../callback-filter.ts'
import type { Command, Given } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import type { Output } from '../output.ts'
import { callService, remoteService } from '../remote-service.ts'

interface Callback {
  readonly request_id: string
  readonly target: string
  readonly status: string
  readonly attempts: number
  readonly next_attempt_at: string | null
  readonly last_error: string | null
  readonly created_at: string
}

interface Page {
  readonly items: readonly Callback[]
  readonly next_cursor: string | null
}

export const callbacksList: Command = {
  path: 'callbacks list',
  alsoTriedAs: ['callbacks', 'deliveries'],
  summary: 'Show the callbacks of an organization, and which of them failed.',
  about: [
    'Lists callbacks of all requests, newest first: when each fell due, how it fares, and what went wrong last. It asks a running service as a person of the organization; put the token into HITL_TOKEN.',
  ],
  options: [
    {
      name: 'status',
      value: 'STATUS',
      choices: ['pending', 'delivering', 'sent', 'failed', 'withdrawn'],
      about:
        'Only those with this status. A failed one with a next attempt is still tried; a withdrawn one was not received and is not sent any more.',
    },
    { name: 'limit', value: 'COUNT', about: 'How many at most. Default: 50.' },
    ...filterOptions,
  ],
  examples: [
    { about: 'What failed:', line: 'hitl callbacks list --status failed --url https://hitl.example.com' },
    {
      about: 'Since this morning, for a script:',
      line: 'hitl callbacks list --since 2026-01-31T06:00:00Z --url https://hitl.example.com --json',
    },
  ],
  exits: [
    [0, 'listed'],
    [1, 'refused'],
    [64, 'the command line is wrong'],
    [69, 'the service does not respond'],
  ],
  run,
}

async function run(given: Given, output: Output): Promise<number> {
  const service = remoteService(given, given.text('url') ?? '', 'belongs to the organization')
  const most = countOf(given, 'limit') ?? 50
  const callbacks: Callback[] = []
  let cursor: string | null = null
  do {
    const limit = String(Math.min(100, most - callbacks.length))
    const query: Record<string, string | null> = { ...filterOf(given), limit, cursor }
    const page = (await (await callService(service, { path: '/api/v1/callbacks', query })).json()) as Page
    callbacks.push(...page.items)
    cursor = page.next_cursor
  } while (cursor !== null && callbacks.length < most)
  const remark = cursor === null ? '' : `\nThere may be more: --limit ${most * 2}.`
  output.result({ callbacks, complete: cursor === null }, `${text(callbacks)}${remark}`)
  return exitCodes.done
}

function text(callbacks: readonly Callback[]): string {
  if (callbacks.length === 0) return 'There are no such callbacks.'
  return callbacks
    .map(({ created_at, request_id, status, attempts, target, next_attempt_at: next, last_error: error }) => {
      const tries = `${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}${next === null ? '' : `, next ${next}`}`
      return `${created_at}  ${request_id}  ${status.padEnd(10)}  ${target}  ${tries}${error === null ? '' : `\n    ${error}`}`
    })
    .join('\n')
}
