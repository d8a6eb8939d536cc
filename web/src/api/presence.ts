import { api, type Schemas } from './client.ts'
import { granted } from './refused.ts'

export type Presence = Schemas['RequestPresence']
export type PersonLooking = Presence['people'][number]

/** `keepalive`: the page may be closing. */
export const sendLooking = (request_id: string | null): Promise<unknown> =>
  granted(api.PUT('/api/v1/presence', { body: { request_id }, keepalive: request_id === null }))
