import type { Request } from '../api/requests.ts'
import { refuseAway } from '../deciding/decisions.ts'
import { announce } from '../design/announcer.tsx'
import { isAway } from '../live/changes.ts'
import type { ListRules } from '../live/merge.ts'
import { say } from '../words/say.ts'
import { bringBack } from './acts.ts'

/** Brings a request back, and tells it. */
export async function tellBack(request: Request, lists: readonly ListRules[]): Promise<void> {
  if (isAway()) refuseAway(request)
  else if (await bringBack(request, lists)) announce(say('announce.unsnoozed', { title: request.title }))
}
