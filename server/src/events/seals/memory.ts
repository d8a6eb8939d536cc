import { hash } from 'node:crypto'
import type { Logger } from '../../platform/log.ts'
import { type AuditSigner, type Batch, headType, type PublicHead } from './seal.ts'

/**
 * What a process remembers of the heads it has seen. Somebody who controls the database can remove the last seals and change
 * what they covered; the service would seal the rest again, with its real key. So it seals behind a head only when it can
 * verify that head, and never behind an older or another one than it has seen.
 */
export interface HeadMemory {
  /** Whether the batch may be sealed; if not, it is logged and `isIntact` says so. */
  mayFollow(batch: Batch): Promise<boolean>
  /** Compares the last heads of the organizations from `from` to `to` with what was known before they were read. */
  compare(last: readonly PublicHead[], before: Known, from: string, to: string | null): Promise<void>
  /** After the commit that wrote it, or as it was found outside. */
  remember(head: PublicHead): void
  known(): Known
  isIntact(): boolean
}

interface Seen {
  readonly number: number
  readonly sha256: string
}

export type Known = ReadonlyMap<string, Seen>

export function createHeadMemory(signer: AuditSigner, log: Logger): HeadMemory {
  const seen = new Map<string, Seen>()
  /** Organizations that are not sealed, and why. */
  const stopped = new Map<string, string>()

  const judge = (organizationId: string, reason: string | null): boolean => {
    if (reason === null) stopped.delete(organizationId)
    else if (stopped.get(organizationId) !== reason) {
      stopped.set(organizationId, reason)
      log.error({ organization_id: organizationId }, `the audit of an organization is no longer sealed: ${reason}`)
    }
    return reason === null
  }

  const remember = ({ organizationId, number, head }: PublicHead): void => {
    if ((seen.get(organizationId)?.number ?? 0) <= number) {
      seen.set(organizationId, { number, sha256: hash('sha256', head) })
    }
  }

  /** Why `last` is not what follows from `known`; null when it is. */
  const differs = async (
    known: Seen | undefined,
    last: PublicHead | null,
    fits: (claims: Readonly<Record<string, unknown>>) => boolean = () => true,
  ): Promise<string | null> => {
    if (last === null) return known === undefined ? null : `its seals are gone, and seal ${known.number} was there`
    if (known !== undefined && last.number < known.number) {
      return `its last seal is number ${last.number}, and seal ${known.number} was there`
    }
    const isKnown = known?.number === last.number
    if (isKnown && known.sha256 !== hash('sha256', last.head))
      return `its seal ${last.number} is another one than before`
    if (!isKnown && (await signer.verify(last.head, headType)) === null)
      return `the head of its seal ${last.number} was signed by no key of this service`
    const claims = payloadOf(last.head)
    const isOfRow = claims.organization_id === last.organizationId && claims.number === last.number && fits(claims)
    return isOfRow ? null : `the row of its seal ${last.number} contradicts the signed head`
  }

  return {
    mayFollow: async (batch) => {
      const { organizationId, number, previousHead, previousLink, firstPosition, misfits } = batch
      const last = previousHead === null ? null : { organizationId, number: number - 1, head: previousHead }
      const reason =
        (await differs(
          seen.get(organizationId),
          last,
          (claims) => claims.last === firstPosition - 1 && claims.link === previousLink?.toString('hex'),
        )) ?? (misfits === 0 ? null : `the columns of ${misfits} events contradict their records`)
      return judge(organizationId, reason)
    },
    compare: async (last, before, from, to) => {
      const found = new Map(last.map((head) => [head.organizationId, head]))
      const expected = [...before.keys()].filter((id) => id >= from && (to === null || id <= to))
      for (const organizationId of new Set([...found.keys(), ...expected])) {
        const head = found.get(organizationId) ?? null
        const reason = await differs(before.get(organizationId), head)
        if (reason !== null) judge(organizationId, reason)
        else if (head !== null) remember(head)
      }
    },
    remember,
    known: () => new Map(seen),
    isIntact: () => stopped.size === 0,
  }
}

/** Of a compact JWS whose signature holds. */
export function payloadOf(jws: string): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString())
}
