import type { QueryKey } from '@tanstack/react-query'

/** What a person saw: the reply of a call, as JSON, and when it was read. */
export interface Entry {
  readonly at: number
  readonly key: QueryKey
  readonly text: string
}

/** The most useful first. What has no place here is not kept: files, the audit, the settings. */
const kinds = ['organization', 'counts', 'agents', 'requests', 'request', 'agent', 'person']

export const isKept = (key: QueryKey): boolean => kinds.includes(String(key[0]))

/** A browser keeps a text with two bytes for each of its units at most. */
export const mostBytes = 4_000_000
/** A long weekend. A session that is not used ends after a week (SESSION_IDLE_MINUTES). */
export const keptMs = 3 * 86_400_000

/** Of what is there twice the newer one, without what is old; the most useful first, and the latest, as much as there is room for. */
export function bounded(entries: readonly Entry[], now: number): readonly Entry[] {
  const newest = new Map<string, Entry>()
  for (const entry of entries) {
    const name = JSON.stringify(entry.key)
    if (now - entry.at <= keptMs && entry.at >= (newest.get(name)?.at ?? 0)) newest.set(name, entry)
  }
  const rank = ({ key }: Entry): number => kinds.indexOf(String(key[0]))
  let left = mostBytes
  return [...newest.values()]
    .sort((one, other) => rank(one) - rank(other) || other.at - one.at)
    .filter(({ text }) => {
      const fits = text.length * 2 <= left
      if (fits) left -= text.length * 2
      return fits
    })
}
