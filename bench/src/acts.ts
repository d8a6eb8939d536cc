import { randomInt } from 'node:crypto'
import type { Act } from './closed-loop.ts'
import { type HttpClient, openHttpClient } from './http-client.ts'
import type { Measurement, Setup } from './plan.ts'
import type { Receiver } from './receiver.ts'
import { createBody } from './sample.ts'

/** How many pages are read by following `next_cursor` before starting with the newest again. */
const pagesInARow = 5

export type CallbackTimes = 'fromCall' | 'fromReply'

/** An act to repeat, and how to close what it uses. */
export interface OpenAct {
  readonly act: Act | Act<CallbackTimes>
  close(): Promise<void>
}

export interface World {
  readonly setup: Setup
  readonly receiver: Receiver
  /** Pending requests without a callback, each to be decided once, taken from the front. */
  readonly undecided: Iterator<string>
  readonly loaded: readonly string[]
  /** Called for every 201. */
  readonly onCreated: () => void
}

/** The acts that call the service. Every reply is checked, not only its status. */
export function openServiceAct(measurement: Measurement, concurrency: number, world: World): OpenAct {
  const { serviceUrl, floor } = world.setup
  const http = openHttpClient(measurement.startsWith('floor ') ? floor.url : serviceUrl, concurrency)
  return { act: actOf(measurement, http, world), close: http.close }
}

function actOf(measurement: Measurement, http: HttpClient, world: World): OpenAct['act'] {
  const { undecided, loaded } = world
  switch (measurement) {
    case 'creates':
    case 'floor creates':
      return async () => {
        await create(http, world)
        return {}
      }
    case 'reads':
      return async () => {
        const id = loaded[randomInt(loaded.length)] ?? ''
        check(
          await http.call({ method: 'GET', path: `/api/v1/requests/${id}`, as: world.setup.apiKey, expected: 200 }),
          id,
        )
        return {}
      }
    case 'list pages':
      return listPages(http, world)
    case 'responds':
      return async () => {
        const { value: id, done } = undecided.next()
        if (done === true) throw new Error('all loaded requests are decided: nothing left to respond to')
        await respond(http, world, id)
        return {}
      }
    case 'lifecycles':
    case 'floor lifecycles':
      return () => lifecycle(http, world)
    case 'raw inserts':
      throw new Error('raw inserts do not go through the service')
  }
}

async function create(http: HttpClient, { setup, receiver, onCreated }: World): Promise<string> {
  const body = createBody(receiver)
  const text = await http.call({ method: 'POST', path: '/api/v1/requests', as: setup.apiKey, body, expected: 201 })
  onCreated()
  check(text, '"state":"pending"')
  return /"id":"([0-9a-f-]{36})"/.exec(text)?.[1] ?? fail('the reply to a create has no id')
}

async function respond(http: HttpClient, { setup }: World, id: string): Promise<void> {
  const path = `/api/v1/requests/${id}/respond`
  const body = '{"decision":"approve","comment":"Checked: none of them is in use."}'
  check(await http.call({ method: 'POST', path, as: setup.reviewerToken, body, expected: 200 }), '"decision":"approve"')
}

async function lifecycle(http: HttpClient, world: World): Promise<Readonly<Record<CallbackTimes, number>>> {
  const id = await create(http, world)
  const callback = world.receiver.expect(id)
  // It is awaited below; if the respond fails, its rejection must not be unhandled.
  callback.catch(() => {})
  const called = performance.now()
  await respond(http, world, id)
  const replied = performance.now()
  const arrived = await callback
  return { fromCall: arrived - called, fromReply: arrived - replied }
}

/** The newest page, then the next ones by cursor, like a person scrolling through the inbox. */
function listPages(http: HttpClient, { setup }: World): Act {
  const places = new Map<number, { readonly page: number; readonly cursor: string }>()
  return async (worker) => {
    const { page, cursor } = places.get(worker) ?? { page: 0, cursor: '' }
    const path = `/api/v1/requests${page === 0 ? '' : `?cursor=${cursor}`}`
    const text = await http.call({ method: 'GET', path, as: setup.reviewerToken, expected: 200 })
    const end = text.slice(-300)
    const total = Number(/"total":(\d+)/.exec(end)?.[1])
    const next = /"next_cursor":"([^"]+)"/.exec(end)?.[1]
    if (!(total >= setup.loadedRequests) || next === undefined) fail('a list page lacks its total or its next_cursor')
    places.set(worker, { page: (page + 1) % pagesInARow, cursor: next })
    return {}
  }
}

function check(text: string, part: string): void {
  if (!text.includes(part)) fail(`a reply lacks ${part.slice(0, 30)}`)
}

function fail(message: string): never {
  throw new Error(message)
}
