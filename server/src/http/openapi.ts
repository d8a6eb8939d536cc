import { STATUS_CODES } from 'node:http'
import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { type TSchema, Type } from 'typebox'

/** RFC 9457, as every refusal of this service is told. */
export const problemSchema = Type.Object(
  {
    type: Type.String({ description: 'Always "about:blank": `code` is what programs switch on.' }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: 'Stable word for programs, such as `consultation.already_responded`.' }),
    detail: Type.String({ description: 'A sentence for people: what is wrong and what to do next.' }),
    errors: Type.Optional(
      Type.Array(Type.Object({ path: Type.String(), message: Type.String() }), {
        description: 'One entry per wrong field.',
      }),
    ),
    request_id: Type.String({ description: 'Also in the `x-request-id` header and in the log.' }),
  },
  { $id: 'Problem', title: 'Problem', additionalProperties: true },
)

/** The path of one thing. */
export const idParams = Type.Object({ id: Type.String({ format: 'uuid' }) })

const meanings: Readonly<Record<number, { readonly code: string; readonly detail: string }>> = {
  400: { code: 'json.malformed', detail: 'The body is not valid JSON in UTF-8. Check quotes, commas and encoding.' },
  401: {
    code: 'auth.invalid',
    detail: 'The access token or API key is not valid any more, or never was. Sign in again, or use another key.',
  },
  403: { code: 'auth.forbidden', detail: 'This call needs an API key; people cannot make it.' },
  404: { code: 'consultation.not_found', detail: 'Request not found' },
  409: { code: 'consultation.already_responded', detail: 'Request is already responded, cannot respond' },
  412: {
    code: 'consultation.revision_changed',
    detail: 'The request is at revision 2, the answer was given on revision 1. Read it again.',
  },
  413: { code: 'http.body_too_large', detail: 'The body is larger than this service takes. Send less at once.' },
  415: { code: 'http.media_type', detail: 'Send the body as application/json.' },
  422: { code: 'request.invalid', detail: 'title is required.' },
  429: {
    code: 'http.rate_limited',
    detail: 'Too many calls with this API key: 1000 in 60 s are allowed. Go on in 12 s.',
  },
  500: { code: 'service.failed', detail: 'Something went wrong here. Try again; if it stays, report the request_id.' },
  503: {
    code: 'service.unavailable',
    detail: 'The database does not answer just now. Nothing is lost; try again in a moment.',
  },
}

/** A status that says something of its own on this route. */
export interface OwnMeaning {
  readonly status: number
  readonly code: string
  readonly detail: string
}

/**
 * The `response` entries of a route for the refusals it can give. Always possible, so always listed: a malformed call (400),
 * a parameter twice (422), too many calls (429), 500 and 503.
 */
export function problems(...statuses: readonly (number | OwnMeaning)[]): Record<string, unknown> {
  const entries = [400, 422, 429, ...statuses, 500, 503].map((listed) => {
    const status = typeof listed === 'number' ? listed : listed.status
    const meaning = typeof listed === 'number' ? meanings[listed] : { code: listed.code, detail: listed.detail }
    const example = {
      type: 'about:blank',
      title: STATUS_CODES[status],
      status,
      ...meaning,
      ...(status === 422 ? { errors: [{ path: 'title', message: 'is required' }] } : {}),
      request_id: '5c0b3bd0-0f3c-4a53-9f0e-0a8f6f0c7b1e',
    }
    const content = { 'application/problem+json': { schema: Type.Ref('Problem'), example } }
    return [status, { description: meaning?.detail ?? STATUS_CODES[status], content }] as const
  })
  return Object.fromEntries(entries)
}

/** A successful reply with its schema, and an example for readers. */
export function success(description: string, schema: TSchema, example: unknown): Record<string, unknown> {
  return { description, content: { 'application/json': { schema, example } } }
}

/** Collects the routes that are registered after it into an OpenAPI 3.1 document. */
export async function registerOpenApi(app: FastifyInstance, version: string): Promise<void> {
  app.addSchema(problemSchema)
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'HITL',
        version,
        description:
          'Human-in-the-loop consultations: an agent asks, a person answers, the answer returns as a signed callback.\n\n' +
          'People sign in with `POST /api/v1/auth/login` and send the access token; agents send their API key. Both go ' +
          'into `Authorization: Bearer …`. Every refusal is `application/problem+json` with a `detail` for people and a ' +
          'stable `code` for programs.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/', description: 'This installation' }],
      tags: [
        { name: 'requests', description: 'Ask, read, answer.' },
        { name: 'auth', description: 'People: registration, sign-in, sessions, profile.' },
        { name: 'factors', description: 'Second factors: authenticator apps, passkeys, recovery codes, step-up.' },
        { name: 'sso', description: "Sign-in with an organization's own OpenID Connect provider." },
        { name: 'organizations', description: 'The organization: its name, its owner, its end.' },
        { name: 'people', description: 'Who belongs to it: invitations, members, roles.' },
        { name: 'teams', description: 'Groups of people, and who leads them.' },
        { name: 'agents', description: 'Who asks, and the switches that hold them back.' },
        { name: 'api-keys', description: 'The credentials of agents.' },
        { name: 'audit', description: 'What happened, sealed: read, export, keep, erase.' },
        { name: 'service', description: 'Is it alive?' },
      ],
      components: {
        securitySchemes: {
          person: {
            type: 'oauth2',
            description: 'A person: sign in with email and password.',
            flows: { password: { tokenUrl: '/api/v1/auth/login', scopes: {} } },
          },
          bearer: { type: 'http', scheme: 'bearer', description: 'An access token, or an API key (`hitl_…`).' },
        },
      },
    },
    refResolver: {
      buildLocalReference: (json, _baseUri, _fragment, i) => (typeof json.$id === 'string' ? json.$id : `def-${i}`),
    },
  })
}
