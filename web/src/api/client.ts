import createClient from 'openapi-fetch'
import { publicPath } from './public-path.ts'
import type { paths } from './schema.gen.ts'
import { fetchConfirmed } from './step-up.ts'

export type { Schemas } from './schemas.ts'

/** Calls of the signed-in person. */
export const api = createClient<paths>({ baseUrl: publicPath, fetch: fetchConfirmed })
