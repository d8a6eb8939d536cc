import type pg from 'pg'
import { asProblem, outcomeOf, sqlState } from './errors.ts'
import { type GroupFailure, type GroupResult, type GroupStatement, runGroup, type Types } from './statement-group.ts'

/** One transaction on one connection: statements issued in the same turn form one group and take one round trip. */
export function createSession(client: pg.PoolClient, prepare: boolean, types: Types) {
  const lasts: Promise<unknown>[] = []
  let pending: { readonly statement: GroupStatement; readonly settle: Settle }[] = []
  let scheduled = false
  let begun = false
  let committed = false
  let broken = false
  const onError = (): void => {
    broken = true
  }
  client.on('error', onError)
  const control = (text: 'begin' | 'commit' | 'rollback'): GroupStatement => ({
    name: prepare ? `transaction_${text}` : undefined,
    text,
    values: [],
  })

  /** `closing`: these are the last statements. If they are also the first, the group is a transaction without BEGIN. */
  const flush = async (closing: boolean, explain = outcomeOf): Promise<void> => {
    scheduled = false
    const entries = pending
    pending = []
    const opening = !begun && !closing
    const statements = [
      ...(opening ? [control('begin')] : []),
      ...entries.map((entry) => entry.statement),
      ...(closing && begun ? [control('commit')] : []),
    ]
    begun ||= opening
    if (statements.length === 0) return
    let results: readonly GroupResult[]
    try {
      results = await runGroup(client, statements, types)
    } catch (thrown) {
      // What cannot be written is thrown as it is, before anything was sent.
      const failed = typeof thrown === 'object' && thrown !== null && 'tainted' in thrown
      const { error, tainted } = failed ? (thrown as GroupFailure) : { error: thrown, tainted: false }
      broken ||= tainted || sqlState(error) === undefined
      const problem = closing ? explain(error) : asProblem(error)
      for (const entry of entries) entry.settle.reject(problem)
      throw problem
    }
    // PostgreSQL replies to COMMIT of a failed transaction with ROLLBACK and no error.
    if (closing && begun && results.at(-1)?.command !== 'COMMIT') {
      throw new Error('the transaction was rolled back by an earlier error that its work hid')
    }
    const answers = opening ? results.slice(1) : results
    entries.forEach((entry, index) => {
      entry.settle.resolve(answers[index]?.rows ?? [])
    })
  }

  return {
    issue: <Row>(statement: GroupStatement): Promise<readonly Row[]> => {
      const answer = new Promise<readonly unknown[]>((resolve, reject) => {
        pending.push({ statement, settle: { resolve, reject } })
      })
      // Its caller may no longer be waiting when the group fails.
      answer.catch(() => {})
      if (!scheduled) {
        scheduled = true
        process.nextTick(() => {
          if (scheduled) flush(false).catch(() => {})
        })
      }
      return answer as Promise<readonly Row[]>
    },
    last: (statements: Promise<unknown>): void => {
      statements.catch(() => {})
      lasts.push(statements)
    },
    /** Resolves once everything is durable. `explain` turns a failure of the closing group into the error to throw. */
    commit: async (explain?: (error: unknown) => unknown): Promise<void> => {
      // In this order, so that the error of an earlier group is thrown rather than its consequence.
      await Promise.all([...lasts, flush(true, explain)])
      committed = true
    },
    isCommitted: (): boolean => committed,
    rollBack: async (): Promise<void> => {
      const abandoned = pending
      pending = []
      scheduled = false
      for (const entry of abandoned)
        entry.settle.reject(new Error('the transaction was given up before this statement'))
      if (begun && !broken) await runGroup(client, [control('rollback')], types).catch(onError)
    },
    release: (): void => {
      client.off('error', onError)
      client.release(broken)
    },
  }
}

interface Settle {
  readonly resolve: (rows: readonly unknown[]) => void
  readonly reject: (error: unknown) => void
}
