import { setImmediate as turn } from 'node:timers/promises'
import type { Principal } from '../identity/principal.ts'
import type { JsonText } from '../platform/json.ts'
import { patchBetween } from './questions/json-patch.ts'
import { answerMembers, list, text, time, word } from './representation.ts'
import type { Revision } from './revision-store.ts'

/** A page of revisions, on the wire. */
export interface RevisionPage {
  /** JSON. */
  readonly items: readonly string[]
  /** The number of the last one, where there are more. */
  readonly next: number | null
}

/**
 * What two revisions ask may come to this much to be compared, and the patch as well: some 30 ms of work. What is larger is
 * read whole.
 */
const comparedBytes = 131_072

/** `revisions`: newest first, and with the one before the last that is to be shown. */
export async function revisionPage(
  revisions: readonly Revision[],
  limit: number,
  { kind }: Principal,
): Promise<RevisionPage> {
  const items: string[] = []
  let next: number | null = null
  for (const [place, one] of revisions.entries()) {
    const before = revisions[place + 1]
    // Without the one before it, it is for the next page.
    if (items.length === limit || (before === undefined && one.revision > 1)) break
    const asked = askedMembers(one)
    items.push(revisionJson(one, asked, patchText(before, asked), kind))
    next = one.revision > 1 ? one.revision : null
    await turn()
  }
  return { items, next }
}

/** RFC 6902, as JSON; undefined: too large to be made. */
function patchText(before: Revision | undefined, asked: string): string | undefined {
  if (before === undefined) return 'null'
  const was = askedMembers(before)
  if (was.length + asked.length > comparedBytes) return undefined
  const patch = JSON.stringify(patchBetween(JSON.parse(`{${was}}`), JSON.parse(`{${asked}}`)))
  return patch.length > comparedBytes ? undefined : patch
}

/** What the patch is about: the members that an agent asks with, as they are on the wire. */
function askedMembers(one: Revision): JsonText {
  return (`"title":${text(one.title)},"description":${text(one.description)},"context":${one.context},"metadata":${one.metadata},` +
    `"action":${one.action},"answer":${one.answerAsked},"justification":${text(one.justification)},"presentation":${one.presentation},` +
    `"risk":"${one.risk}","priority":"${one.priority}","tags":${list(one.tags)},"run_id":${text(one.runId)},` +
    `"hold_seconds":${one.holdSeconds},"attachments":${one.attachments ?? '[]'}`) as JsonText
}

function revisionJson(one: Revision, asked: string, patch: string | undefined, reader: Principal['kind']): string {
  const { response, voidedAt } = one
  // An agent never learns of a decision that did not reach it.
  const isShown = response !== null && (voidedAt === null || reader === 'person')
  const answer = isShown ? `{${answerMembers(response, one.revision)},"voided_at":${time(voidedAt)}}` : 'null'
  return (
    `{"revision":${one.revision},${asked},"digest":"${one.digest}","timeout_at":${time(one.timeoutAt)},` +
    `"api_key_id":"${one.apiKeyId}","created_at":${time(one.askedAt)},"revised_at":${time(one.revisedAt)},` +
    `"erased_at":${time(one.erasedAt)},"decided_by":${word(isShown ? one.decidedBy : null)},"response":${answer},` +
    `"patch":${patch ?? 'null'},"patch_omitted":${patch === undefined}}`
  )
}
