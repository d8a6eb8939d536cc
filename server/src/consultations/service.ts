import type { Principal } from '../identity/principal.ts'
import * as acts from './acts.ts'
import { create, groupCreations } from './ask.ts'
import { createMany } from './ask-many.ts'
import { lockOpen, requireOpen, requireVisible } from './attaching.ts'
import { recordCallbacks } from './callback-outcomes.ts'
import type { Context } from './context.ts'
import { eraseComments, eraseRequest } from './erasure.ts'
import { expireDue } from './expiry.ts'
import { parseKeptQuery } from './list-query.ts'
import { otherProcesses } from './list-store.ts'
import { createNotices } from './notices.ts'
import { createOpenWrites } from './open-writes.ts'
import { createProving, decided, redeem, respond, show } from './proven.ts'
import { countOf, counts, createReading, find, list, read, settled, settledBefore } from './reading.ts'
import { respondMany } from './respond-many.ts'
import { earlierOf, revise, revisionsOf } from './revising.ts'
import { createFilling } from './search/filling.ts'
import { rebuild } from './search/rebuild.ts'

export type Consultations = ReturnType<typeof createConsultations>

/** The use cases that doors call. Each takes the input as the wire has it, and checks it. */
export function createConsultations(dependencies: Omit<Context, 'openWrites'>) {
  const openWrites = createOpenWrites(dependencies.clock)
  const context: Context = { ...dependencies, openWrites, clock: openWrites.clock }
  const acting = { ...context, perform: acts.groupActs(context) }
  const asking = { ...context, insert: groupCreations(context) }
  const reading = createReading(context)
  const proving = createProving(acting, reading)
  return {
    create: create.bind(null, asking),
    createMany: createMany.bind(null, asking),
    respond: respond.bind(null, proving),
    respondMany: respondMany.bind(null, proving),
    cancel: acts.cancel.bind(null, acting),
    undo: acts.undo.bind(null, acting),
    report: acts.report.bind(null, acting),
    redeem: redeem.bind(null, proving),
    decided: decided.bind(null, proving),
    revise: revise.bind(null, proving),
    revisions: revisionsOf.bind(null, proving),
    earlier: earlierOf.bind(null, context),
    requireOpen: requireOpen.bind(null, { ...context, ...reading }),
    requireVisible: requireVisible.bind(null, reading),
    lockOpen: lockOpen.bind(null, context),
    redeliver: acts.redeliver.bind(null, acting),
    redeliverIfSettled: acts.redeliverIfSettled.bind(null, acting),
    show: show.bind(null, proving),
    /** As it is stored, whether or not it was changed: for those who look into it. */
    read: read.bind(null, reading),
    find: find.bind(null, reading),
    list: list.bind(null, reading),
    queryOf: (principal: Principal, query: string) => parseKeptQuery(query, principal, context.clock.now()),
    countOf: countOf.bind(null, context),
    counts: counts.bind(null, context),
    settledUntil: settled.bind(null, context),
    newestChange: () => openWrites.newest(),
    ...createNotices(context),
    /** Whether other processes of the service use this database. */
    hasOtherProcesses: async () => (await otherProcesses(context.workerDb.within({}))).present,
    eraseRequest: eraseRequest.bind(null, context),
    eraseComments: eraseComments.bind(null, context),
    searchFilling: createFilling({ workerDb: context.workerDb, settledBefore: () => settledBefore(context) }),
    rebuildSearch: rebuild.bind(null, context),
    expireDue: expireDue.bind(null, context),
    recordCallbacks: recordCallbacks.bind(null, context),
  }
}
