import { countOf, filterOf, filterOptions } from '../callback-filter.ts'
import type { Command, Given } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import type { Output } from '../output.ts'
import { callService, remoteService } from '../remote-service.ts'

interface Redelivered {
  readonly redelivered: number
  readonly skipped: number
  readonly next_cursor: string | null
}

/** What one call of the service takes at most. */
const perCall = 500

export const callbacksRedeliver: Command = {
  path: 'callbacks redeliver',
  alsoTriedAs: ['redeliver', 'callbacks retry', 'callbacks resend'],
  summary: 'Send callbacks again: those that failed, or were sent.',
  about: [
    'Makes callbacks due again at once, each with a new round of attempts, the same webhook-id and the same bytes. The service tries failed ones again by itself for most of a day; this is for a receiver that was away for longer, or that lost what it had received.',
    'It asks a running service as an owner or admin; put the token into HITL_TOKEN. Each request has it in its audit.',
  ],
  options: [
    { name: 'status', value: 'STATUS', choices: ['failed', 'sent'], about: 'Default: failed.' },
    { name: 'limit', value: 'COUNT', about: 'How many at most. Default: all.' },
    ...filterOptions,
  ],
  examples: [
    { about: 'All that failed:', line: 'hitl callbacks redeliver --url https://hitl.example.com' },
    {
      about: 'What receivers got since noon and lost:',
      line: 'hitl callbacks redeliver --status sent --since 2026-01-31T12:00:00Z --url https://h.example',
    },
  ],
  exits: [
    [0, 'they are due again'],
    [1, 'refused'],
    [64, 'the command line is wrong'],
    [69, 'the service does not respond: run it again'],
  ],
  run,
}

async function run(given: Given, output: Output): Promise<number> {
  const service = remoteService(given, given.text('url') ?? '', 'may redeliver')
  const most = countOf(given, 'limit') ?? Number.POSITIVE_INFINITY
  const filter = Object.fromEntries(Object.entries(filterOf(given)).filter(([, value]) => value !== null))
  const sum = { redelivered: 0, skipped: 0 }
  let cursor: string | null = null
  do {
    const limit = Math.min(perCall, most - sum.redelivered)
    const body: unknown = { ...filter, limit, ...(cursor === null ? {} : { cursor }) }
    const reply = await callService(service, { path: '/api/v1/callbacks/redeliver', body })
    const done = (await reply.json()) as Redelivered
    sum.redelivered += done.redelivered
    sum.skipped += done.skipped
    cursor = done.next_cursor
  } while (cursor !== null && sum.redelivered < most)
  const skipped = sum.skipped === 0 ? '' : ` ${sum.skipped} skipped: somebody else was first.`
  output.result({ ...sum, complete: cursor === null }, `${told(sum.redelivered)}${skipped}`)
  return exitCodes.done
}

function told(count: number): string {
  if (count === 0) return 'There is no such callback to send again.'
  return count === 1 ? '1 callback is due again.' : `${count} callbacks are due again.`
}
