import type { Request } from '../api/requests.ts'
import { announce } from '../design/announcer.tsx'
import { say } from '../words/say.ts'
import { undo } from './decisions.ts'

/** Undoes a decision and tells how it went; whether the request is open again. */
export async function takeBack(request: Request): Promise<boolean> {
  const result = await undo(request)
  if (result !== null) announce(say(`announce.${result}`, { title: request.title }))
  return result === 'undone'
}
