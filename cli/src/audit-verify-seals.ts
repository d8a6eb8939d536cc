import type { Findings } from './audit-verify-findings.ts'
import { type Head, type Jws, type KeyRing, signatureHolds } from './audit-verify-jws.ts'

interface Waiting {
  readonly head: Jws<Head>
  readonly line: number
}

/**
 * Checks the signatures of heads. Each head contains the hash of the previous one, so a valid signature vouches for all heads
 * before it. Only every 64th and the last are verified, unless one is invalid or the hashes do not match: then all are.
 */
export function createSignatures(keys: KeyRing, findings: Findings) {
  let waiting: Waiting[] = []
  /** Heads whose key is not in the set and that no later head has vouched for yet. */
  let unknown: Waiting[] = []
  let vouchedUnknown = 0

  const forged = ({ head, line }: Waiting): void =>
    findings.add('seal.forged', `The signature of seal ${head.payload.number} is invalid.`, {
      line,
      seal: head.payload.number,
    })

  const judgeAll = (): void => {
    for (const entry of waiting) {
      const holds = signatureHolds(entry.head, keys)
      if (holds === false) forged(entry)
      else if (holds === null) unknown.push(entry)
    }
    waiting = []
  }

  const judge = (): void => {
    const last = waiting.at(-1)
    if (last === undefined) return
    if (signatureHolds(last.head, keys) !== true) {
      judgeAll()
      return
    }
    vouchedUnknown += unknown.length + waiting.filter(({ head }) => !keys.has(head.kid)).length
    unknown = []
    waiting = []
  }

  return {
    add: (head: Jws<Head>, line: number, joins: boolean): void => {
      if (!joins) {
        judgeAll()
        reportUnknown()
      }
      waiting.push({ head, line })
      if (waiting.length >= 64) judge()
    },
    finish: (): number => {
      judge()
      reportUnknown()
      return vouchedUnknown
    },
  }

  /** No later seal vouches for these. */
  function reportUnknown(): void {
    for (const { head, line } of unknown) {
      const message = `Seal ${head.payload.number} is signed with a key that is not in the key set (${head.kid}).`
      findings.add('seal.unknown_key', message, { line, seal: head.payload.number })
    }
    unknown = []
  }
}
