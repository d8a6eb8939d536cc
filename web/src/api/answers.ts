import { api, type Schemas } from './client.ts'
import { granted } from './refused.ts'
import { fetchSoon } from './step-up.ts'

/** Answers many in one call; a result for each, in the same order. */
export const sendAnswers = (answers: Schemas['Answers']['answers'], key: string) =>
  granted(
    api.POST('/api/v1/requests/respond', {
      params: { header: { 'idempotency-key': key } },
      body: { answers },
      fetch: fetchSoon,
    }),
  )
