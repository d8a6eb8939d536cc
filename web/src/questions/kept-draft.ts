import { useEffect } from 'react'
import { api, type Schemas } from '../api/client.ts'
import { queryClient } from '../api/query-client.ts'
import { granted } from '../api/refused.ts'
import { session } from '../api/session.ts'
import { change, type Draft, draftKey, draftOf, isUntouched, watchDrafts } from './drafts.ts'

/** So long after the last change it is kept. */
const keptAfterMs = 600

type Kept = Schemas['SavedDraft']['answer']

/** As it would be sent. Files stay out: the service has those that were added, and what they are called is not in an answer. */
export function keptOf({ choices, data, args, comments }: Draft): Kept {
  const [decision, comment] = Object.entries(comments).findLast(([, text]) => text !== '') ?? []
  return {
    ...(decision === undefined ? {} : { comment }),
    ...(decision === undefined || decision === 'answer' ? {} : { decision }),
    ...(choices === null ? {} : { choices }),
    ...(data === null ? {} : { data }),
    ...(args === null ? {} : { args }),
  }
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Another program of the same person may have kept anything. */
export function draftFrom({ decision, comment, choices, data, args }: Kept): Partial<Draft> {
  const isList = Array.isArray(choices) && choices.every((each) => typeof each === 'string')
  return {
    ...(typeof comment === 'string'
      ? { comments: { [typeof decision === 'string' ? decision : 'answer']: comment } }
      : {}),
    ...(isList ? { choices: choices as string[] } : {}),
    ...(isObject(data) ? { data } : {}),
    ...(isObject(args) ? { args, isEditing: true } : {}),
  }
}

const params = (id: string) => ({ params: { path: { id } } })

const keptQuery = (id: string) => ({
  queryKey: ['draft', id],
  // Most have none, which the service tells by a refusal.
  queryFn: () => granted(api.GET('/api/v1/requests/{id}/draft', params(id))).catch(() => null),
  staleTime: Number.POSITIVE_INFINITY,
})

/** What a person began is kept by the service for them alone, so that they go on with it after the page was loaded again, or elsewhere. */
export function useKeptDraft(request: Pick<Schemas['Request'], 'id' | 'revision'>, isAnswered: boolean): void {
  const { id, revision } = request
  useEffect(() => {
    if (!isAnswered) return
    const key = draftKey({ id, revision })
    const who = session.who()
    let isOver = false
    let timer: ReturnType<typeof setTimeout> | undefined
    let kept = JSON.stringify(keptOf(draftOf(key)))
    const keep = (): void => {
      clearTimeout(timer)
      const answer = keptOf(draftOf(key))
      const text = JSON.stringify(answer)
      if (text === kept || session.who() !== who) return
      kept = text
      const call =
        text === '{}'
          ? api.DELETE('/api/v1/requests/{id}/draft', params(id))
          : api.PUT('/api/v1/requests/{id}/draft', { ...params(id), body: { revision, answer } })
      // It stays in this tab in any case, and the next change tries again.
      call.catch(() => undefined)
    }
    const end = watchDrafts(() => {
      clearTimeout(timer)
      timer = setTimeout(keep, keptAfterMs)
    })
    void queryClient.fetchQuery(keptQuery(id)).then((saved) => {
      if (isOver || saved === null || saved.revision !== revision || !isUntouched(key)) return
      const found = draftFrom(saved.answer)
      if (Object.keys(found).length === 0) return
      kept = JSON.stringify(keptOf({ ...draftOf(key), ...found }))
      change(key, found)
    })
    return () => {
      isOver = true
      end()
      keep()
    }
  }, [id, revision, isAnswered])
}
