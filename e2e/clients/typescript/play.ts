// Plays against a real service with the client that openapi-typescript and openapi-fetch make.
import createClient from 'openapi-fetch'
import type { components, paths } from './hitl.js'

const { HITL_URL: baseUrl = '', HITL_KEY: key, HITL_EMAIL: username = '', HITL_PASSWORD: password = '' } = process.env
const bearer = (token: string | undefined) => ({ baseUrl, headers: { authorization: `Bearer ${token}` } })

const { data: signedIn } = await createClient<paths>({ baseUrl }).POST('/api/v1/auth/login', {
  body: { username, password },
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
})
const agent = createClient<paths>(bearer(key))
const person = createClient<paths>(bearer(signedIn?.access_token))

const { data: made } = await agent.POST('/api/v1/requests', {
  body: { title: 'Asked in TypeScript', context: { cost: 42.5 } },
  params: { header: { 'idempotency-key': 'typescript-1' } },
})
if (made === undefined) throw new Error('nothing was made')
const params = { path: { id: made.id } }

const { data: page } = await person.GET('/api/v1/requests', { params: { query: { state: 'pending', limit: 100 } } })
const body: components['schemas']['Answer'] = { decision: 'approve', comment: 'from TypeScript' }
const { data: answered } = await person.POST('/api/v1/requests/{id}/respond', { params, body })
const { data: certificate } = await agent.GET('/api/v1/requests/{id}/certificate', { params })
const { error } = await person.POST('/api/v1/requests/{id}/respond', { params, body })
const refused: components['schemas']['ProblemCode'] | undefined = error?.code
const later: components['schemas']['Problem']['code'] = 'later.added'
if (refused === later) throw new Error('a code that this client does not know')

process.stdout.write(
  JSON.stringify({
    id: made.id,
    listed: page?.items.some(({ id }) => id === made.id) ?? false,
    decision: answered?.response?.decision,
    comment: answered?.response?.comment,
    certificate: certificate?.certificate,
    refused: { status: error?.status, code: refused, detail: error?.detail },
  }),
)
