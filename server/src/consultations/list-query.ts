import type { Static } from 'typebox'
import { toInstant } from '../http/instant.ts'
import type { Principal } from '../identity/principal.ts'
import { decodeCursor, encodeCursor } from '../platform/page.ts'
import { invalid, within } from '../platform/problem.ts'
import { compileCheck } from '../platform/validation.ts'
import type { ListFilter, Place } from './list-filter.ts'
import { priorities, risks } from './questions/tiers.ts'
import { inQueue } from './queues.ts'
import { listQuery, metadataPrefix, mostMetadataFilters } from './schemas.ts'
import { parseSearch } from './search/query.ts'

/** Where the next page of a list begins; of a differential poll, all pages show the changes up to the same time. */
export interface ListCursor {
  readonly after: Place
  readonly updatedUntil: Date | null
}

const uuid = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
/**
 * The id; in the lists by due, priority and relevance also when it times out, or its rank; what of a search is ordered; and the time
 * of a differential poll.
 */
const form = new RegExp(`^${uuid}(?:~\\d{1,15})?(?:!${uuid})?(?:@\\d{1,15})?$`)

export function encodeListCursor({ after, updatedUntil }: ListCursor, list: string): string {
  const { id, due, rank, window } = after
  if (window !== null) return encodeCursor(`${rank === null ? id : `${id}~${rank}`}!${window}`, list)
  const more = list.includes('sort=due') ? due?.getTime() : list.includes('sort=priority') ? rank : null
  const place = more == null ? id : `${id}~${more}`
  return encodeCursor(updatedUntil === null ? place : `${place}@${updatedUntil.getTime()}`, list)
}

function decodeListCursor(cursor: string, list: string): ListCursor {
  const [place = '', until] = decodeCursor(cursor, list, form).split('@')
  const [at = '', window = null] = place.split('!')
  const [id = '', more] = at.split('~')
  const rank = more === undefined ? null : Math.min(Number(more), window === null ? priorities.length : mostRank)
  return { after: { id, due: window === null ? instant(more) : null, rank, window }, updatedUntil: instant(until) }
}

/** What PostgreSQL's integer holds. */
const mostRank = 2_147_483_647

const instant = (ms: string | undefined): Date | null => (ms === undefined ? null : new Date(Number(ms)))

/** `agent`: whose requests, as the caller asked. */
export type ListQuery = Omit<ListFilter, 'organizationId' | 'agentId'> & { readonly agent: string | null }

/** Throws 422. */
export function parseListQuery(
  query: Static<typeof listQuery>,
  list: string,
  principal: Principal,
  now: Date,
): ListQuery {
  const { state, tag, queue, q, run_id: runId = null } = query
  const search = q === undefined ? null : parseSearch(q)
  const [states, tags] = [state === undefined ? null : [state], tag === undefined ? null : [tag]]
  const [priority, risk] = [among(priorities, query.priority), among(risks, query.risk)]
  const { limit = 20, offset = 0, fields, sort = search === null ? 'newest' : 'relevance', agent = null } = query
  const time = (
    name: 'responded_after' | 'responded_before' | 'updated_after' | 'created_after' | 'created_before' | 'due_before',
  ): Date | null => {
    const text = query[name]
    return text === undefined ? null : toInstant(name, text)
  }
  const looked = {
    createdAfter: time('created_after'),
    createdBefore: time('created_before'),
    dueBefore: time('due_before'),
    metadata: metadataOf(query),
    tags,
    answered: answeredOf(query, time, principal),
  }
  const others = [
    looked.createdAfter,
    looked.createdBefore,
    looked.dueBefore,
    looked.answered,
    tags,
    priority,
    risk,
    runId,
    queue ?? null,
    search,
  ]
  const isLooked = looked.metadata.length > 0 || others.some((one) => one !== null) || sort === 'priority'
  if (queue !== undefined && principal.kind !== 'person') {
    throw invalid('queue', 'is for people, who have an inbox: an agent leaves it out')
  }
  if (query.cursor !== undefined && offset > 0) throw invalid('offset', 'cannot go with cursor: send one of them')
  if (isLooked && offset > 0) throw invalid('offset', 'cannot go with these filters, or this order: go on with cursor')
  if (search === null && sort === 'relevance') throw invalid('sort', 'can be relevance only for a search: send q too')
  if (search !== null && sort !== 'relevance' && sort !== 'newest') {
    throw invalid('sort', 'can be relevance or newest with q: leave it out')
  }
  const asked = { states, risks: risk, dueBefore: looked.dueBefore, aside: null }
  const narrowed =
    queue === undefined || principal.kind !== 'person' ? asked : inQueue(queue, asked, principal.userId, now)
  if (sort === 'due' && narrowed.states?.some((state) => state !== 'pending')) {
    throw invalid('sort', `can be due only for requests that are pending: leave ${state ? 'state' : 'queue'} out`)
  }
  const cursor = query.cursor === undefined ? null : decodeListCursor(query.cursor, list)
  return {
    priorities: priority,
    runId,
    agent: agent?.toLowerCase() ?? null,
    search,
    updatedAfter: time('updated_after'),
    updatedUntil: cursor?.updatedUntil ?? null,
    ...looked,
    ...narrowed,
    sort,
    after: cursor?.after ?? null,
    limit,
    offset,
    light: fields !== 'full',
  }
}

function answeredOf(
  query: Static<typeof listQuery>,
  time: (name: 'responded_after' | 'responded_before') => Date | null,
  { kind }: Principal,
): ListFilter['answered'] {
  const { decision = null, decided_by: decidedBy = null, responded_by: responder = null } = query
  const [after, before] = [time('responded_after'), time('responded_before')]
  if ([decision, decidedBy, responder, after, before].every((one) => one === null)) return null
  return { decision, decidedBy, responderId: responder, after, before, isReleased: kind === 'agent' }
}

/** What of a query is about one page of a list, and not about which requests the list has. */
const ofOnePage = ['limit', 'offset', 'cursor', 'fields', 'updated_after']
const mostOfPage = 100
const checkQuery = compileCheck(listQuery, 'text')

/** The first page of a list whose query was kept, as an address has it. Throws 422 as the list itself does. */
export function parseKeptQuery(text: string, principal: Principal, now: Date): ListQuery {
  const given = [...new URLSearchParams(text)]
  const query = Object.fromEntries(given)
  const twice = given.find(([name], place) => given.findIndex(([other]) => other === name) !== place)
  try {
    for (const [name, value] of given) {
      if (ofOnePage.includes(name)) throw invalid(name, 'is about one page of a list: leave it out')
      if (value.includes('\0')) throw invalid(name, 'must have no NUL character')
    }
    if (twice !== undefined) throw invalid(twice[0], 'is there twice: send it once')
    const problem = checkQuery(query)
    if (problem !== null) throw problem
    return parseListQuery(
      { ...(query as Static<typeof listQuery>), limit: mostOfPage, offset: 0 },
      text,
      principal,
      now,
    )
  } catch (error) {
    throw within('query', error)
  }
}

/** Each once, in the order of `all`: the text was checked. */
function among<T extends string>(all: readonly T[], text: string | undefined): readonly T[] | null {
  if (text === undefined) return null
  const named = new Set(text.split(','))
  return all.filter((one) => named.has(one))
}

function metadataOf(query: object): ListFilter['metadata'] {
  const given = Object.entries(query).filter(([name]) => name.startsWith(metadataPrefix))
  if (given.length > mostMetadataFilters) {
    throw invalid(
      given[mostMetadataFilters]?.[0] ?? '',
      `is one too many: at most ${mostMetadataFilters} members are compared`,
    )
  }
  return given.map(([name, value]) => [name.slice(metadataPrefix.length), value as string])
}
