import { type Agent, actorOf, type Caller, type Principal, payerOf } from '../identity/principal.ts'
import { inTransaction, type Tx } from '../platform/database/db.ts'
import type { ParsedJson } from '../platform/json.ts'
import { saveWithFiles } from './answer-files.ts'
import { asRefused, sealed } from './ask.ts'
import { type Consultation, notFound, type Proposal } from './consultation.ts'
import type { Context } from './context.ts'
import { type Asked, digestAhead, digestOf } from './digest.ts'
import { factOf, requestChange } from './facts.ts'
import { asAgentSees } from './hold.ts'
import { parseRevision } from './new-request.ts'
import { type ProofContext, reporting } from './proven.ts'
import { keyFor, read, visibleTo } from './reading.ts'
import * as rules from './revision.ts'
import { type RevisionPage, revisionPage } from './revision-page.ts'
import * as revisions from './revision-store.ts'
import * as store from './store.ts'

/** `body`: not checked yet. */
export async function revise(
  context: ProofContext,
  by: Caller<Agent>,
  id: string,
  body: ParsedJson,
  traceparent: string | null,
): Promise<Consultation> {
  const { asked, meant } = parseRevision(body, context)
  return reporting(context, by, id, async () => {
    const found = await read(context, by.principal, id)
    // Refuses early what would be refused under the lock anyway, before sealing and hashing up to a megabyte.
    rules.requireRevisable(found, meant, context.clock.now())
    const proposal = { ...(await sealed(context, by, found.id, asked)), traceparent }
    await digestAhead({ ...proposal, attachments: found.attachments }, payerOf(by.principal))
    const { organizationId } = by.principal
    try {
      return await context.openWrites.during(() =>
        inTransaction(context.db, { organizationId }, (tx) => reviseLocked(context, tx, by, id, proposal, meant)),
      )
    } catch (error) {
      throw await asRefused(context, by, error)
    }
  })
}

/** In a transaction of its own: the question is written, too, which other acts leave alone. */
async function reviseLocked(
  { clock, events, openWrites, answerFiles }: ProofContext,
  tx: Tx,
  by: Caller<Agent>,
  id: string,
  proposal: Proposal,
  meant: number | undefined,
): Promise<Consultation> {
  const { principal } = by
  const [locked] = await store.lockCallbacks(tx, (await store.lock(tx, [keyFor(principal, id)])).found)
  if (locked === undefined) throw notFound()
  const before = visibleTo(principal, locked)
  // Files may have been added since it was read.
  const asked: readonly Asked[] = [before, { ...proposal, attachments: before.attachments }]
  for (const one of asked) await digestAhead(one, payerOf(principal))
  const now = clock.now()
  const change = rules.revise(before, proposal, { actor: actorOf(principal), apiKeyId: principal.apiKeyId }, meant, now)
  const { after, facts } = change
  openWrites.changedAt(after.updatedAt)
  await revisions.replaceQuestion(tx, before, after)
  const recorded = facts.map((fact) => factOf(after, fact, by, now))
  tx.last(Promise.all([saveWithFiles(answerFiles, tx, [change]), events.append(tx, recorded, [requestChange(change)])]))
  return after
}

/** The revisions of a request before the one numbered `before`, newest first. */
export async function revisionsOf(
  context: ProofContext,
  by: Caller,
  id: string,
  { before, limit }: { readonly before: number | null; readonly limit: number },
): Promise<RevisionPage> {
  const found = await read(context, by.principal, id)
  const isAgent = by.principal.kind === 'agent'
  const now = revisions.currentRevision(isAgent ? asAgentSees(found) : found)
  const from = Math.min(before ?? Number.POSITIVE_INFINITY, now.revision + 1)
  const db = context.db.within({ organizationId: found.organizationId })
  // One more, for the patch of the last one.
  const older = await revisions.earlier(db, found, Math.min(from, now.revision), limit + 1)
  return revisionPage(from > now.revision ? [now, ...older] : older, limit, by.principal)
}

/** What the earlier revisions in an evidence pack come to at most, unless those that are read together do. */
const packBytes = 4_194_304

/** What a request asked before, for its evidence pack, newest first, with the digest that follows from what each row says now. */
export async function earlierOf({ db }: Pick<Context, 'db'>, principal: Principal, found: Consultation) {
  const rows = db.within({ organizationId: found.organizationId })
  const shown: { revision: number; json: string; digest: string; computed: string | null }[] = []
  let next = found.revision
  let bytes = 0
  while (next > 1 && bytes < packBytes) {
    const older = await revisions.earlier(rows, found, next, rules.mostRevisions)
    const { items } = await revisionPage(older, older.length, principal)
    // Missing ones are not left out: the pack's check names them.
    if (items.length === 0) return { revisions: shown, leftOut: 0 }
    for (const [place, one] of older.slice(0, items.length).entries()) {
      await digestAhead(one, payerOf(principal))
      const json = items[place] ?? ''
      bytes += json.length
      shown.push({
        revision: one.revision,
        json,
        digest: one.digest,
        computed: one.erasedAt === null ? digestOf(one) : null,
      })
    }
    next = shown.at(-1)?.revision ?? 1
  }
  return { revisions: shown, leftOut: next - 1 }
}
