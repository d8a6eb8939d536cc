import { STATUS_CODES } from 'node:http'
import swagger from '@fastify/swagger'
import type { FastifyContextConfig, FastifyInstance, FastifySchema } from 'fastify'
import { type TSchema, Type } from 'typebox'
import { outcomeUnknown } from '../platform/database/errors.ts'
import { idempotencyMismatch, idempotencyUnderWay } from '../platform/idempotency.ts'
import { malformedJson } from '../platform/json.ts'
import { type AnyRefusal, invalidFields, unavailable } from '../platform/problem.ts'
import { keyUnavailable } from '../platform/secrets/key-encryption.ts'
import { closed, compileCheck } from '../platform/validation.ts'
import { repeatedHeader } from './ambiguity.ts'
import { otherCharset } from './content-type.ts'
import { cookieName, sessionCookie } from './cookies.ts'
import { compressedBody, emptyBody } from './json-body.ts'
import { type Document, finished, type Webhooks } from './openapi-document.ts'
import { headersNamed, type ReplyHeader, replyHeaders } from './openapi-headers.ts'
import { problemBody } from './problems.ts'
import { publicPath } from './public-path.ts'
import {
  badRequest,
  bodyTooLarge,
  failed,
  headersTooLarge,
  lateRequest,
  malformed,
  mediaType,
  methodNotAllowed,
  overloaded,
  rateLimited,
} from './refusals.ts'

/** RFC 9457: the form of every refusal. */
export const problemSchema = Type.Object(
  {
    type: Type.String({ description: 'Always "about:blank": `code` is what programs switch on.' }),
    title: Type.String({ description: 'The status in words.' }),
    status: Type.Integer({ description: 'The status of the reply.' }),
    code: Type.String({ description: 'Stable identifier for programs, such as `consultation.already_responded`.' }),
    detail: Type.String({ description: 'A sentence for people: what is wrong and what to do next.' }),
    errors: Type.Optional(
      Type.Array(
        Type.Object(
          {
            path: Type.String({ description: 'The field, with dots between levels; empty for the whole body.' }),
            message: Type.String({ description: 'What is wrong with it.' }),
            pointer: Type.Optional(
              Type.String({
                description: 'The same place as a JSON Pointer (RFC 6901): given where names may have dots in them.',
              }),
            ),
          },
          { title: 'FieldError' },
        ),
        { description: 'One entry per wrong field.' },
      ),
    ),
    request_id: Type.String({ description: 'Also in the `x-request-id` header and in the log.' }),
  },
  { $id: 'Problem', title: 'Problem', additionalProperties: true, description: 'A refusal, and what to do next.' },
)

/** Path parameters of a single item. */
export const idParams = Type.Object({ id: Type.String({ format: 'uuid', description: 'The id of the item.' }) })

/** The item's id as rows hold it: in lower case, however the caller spelled it. */
export function idOf({ params }: { readonly params: { readonly id: string } }): string {
  return params.id.toLowerCase()
}

/** What the documents say about who may call a route; the guard of the route hands it in. */
export interface Access {
  readonly security: readonly Readonly<Record<string, readonly string[]>>[]
  /** What callers with other credentials, or none, are told. */
  readonly refusals: readonly AnyRefusal[]
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Left out where everybody may call. */
    readonly access?: Access
    /** Its replies are kept for repetitions with the same Idempotency-Key. */
    keepsReply?: true
  }
}

const problemType = 'application/problem+json'
interface ProblemContent {
  readonly schema: object
  readonly examples: Readonly<Record<string, object>>
}
/** What one status of a route can say: refusals by code. */
interface ProblemResponse {
  readonly description: string
  readonly headers: object
  readonly content: { readonly [problemType]: ProblemContent }
}
type Responses = Readonly<Record<string, ProblemResponse>>

const exampleRequestId = 'run-4711'

/** The `response` entries of a route for the refusals that are its own: those of its guard, of its input and of any call are added. */
export function problems(...listed: readonly AnyRefusal[]): Responses {
  const byStatus = [...Map.groupBy(listed, ({ status }) => status)]
  return Object.fromEntries(byStatus.map(([status, all]) => [status, responseOf(STATUS_CODES[status] ?? '', all)]))
}

function responseOf(description: string, refusals: readonly AnyRefusal[]): ProblemResponse {
  // The route's own come last: they are more specific than the shared ones.
  const byCode = new Map(refusals.toReversed().map((refusal) => [refusal.code, refusal.example]))
  const examples = Object.fromEntries(
    [...byCode].map(([code, example]) => [code, { value: asSent(problemBody(example, exampleRequestId)) }]),
  )
  const sent = [...byCode.values()].flatMap(({ headers }) => Object.keys(headers))
  return {
    description,
    headers: headersNamed(...sent),
    content: { [problemType]: { schema: Type.Ref('Problem'), examples } },
  }
}

/** What any call can meet, whatever it asks for. */
const general = [
  badRequest,
  malformed,
  repeatedHeader,
  malformedJson,
  emptyBody,
  methodNotAllowed,
  lateRequest,
  bodyTooLarge,
  mediaType,
  otherCharset,
  compressedBody,
  rateLimited,
  headersTooLarge,
  failed,
  unavailable,
  outcomeUnknown,
  keyUnavailable,
  overloaded,
]
const generalResponse = responseOf(
  'What any call can meet: it was not understood, there were too many, or this service is in trouble',
  general,
)

/** As it arrives, with times as text. */
function asSent(body: object): object {
  return JSON.parse(JSON.stringify(body)) as object
}

/** The given responses with the examples of more, which replace those of the same code. */
function withMore(given: Responses, more: Responses): Responses {
  const both = Object.entries(more).map(([status, response]): [string, ProblemResponse] => {
    const { headers, content } = given[status] ?? response
    const examples = { ...content[problemType].examples, ...response.content[problemType].examples }
    return [
      status,
      {
        ...response,
        headers: { ...headers, ...response.headers },
        // A page, too, where the route sends one to browsers.
        content: { ...content, [problemType]: { ...response.content[problemType], examples } },
      },
    ]
  })
  return { ...given, ...Object.fromEntries(both) }
}

/** A successful reply with its schema and an example. */
export function success(description: string, schema: TSchema, example: unknown): Reply {
  return { description, content: { 'application/json': { schema, example } } }
}

interface Reply {
  readonly description: string
  readonly headers?: object
  readonly [member: string]: unknown
}

/** The reply, with headers that only replies of its kind have. */
export function withHeaders(reply: Reply, ...names: readonly ReplyHeader[]): Reply {
  return { ...reply, headers: { ...reply.headers, ...headersNamed(...names) } }
}

interface Parts {
  readonly body?: TSchema
  readonly params?: TSchema
  readonly querystring?: TSchema
}

interface Fields {
  readonly required?: readonly string[]
  readonly properties: object
}

/** What the operation replies to input that is wrong in the simplest way: a member left out, misspelt or not of its form. */
function wrongInput({ body, params, querystring }: Parts): AnyRefusal {
  const wrong =
    (body !== undefined && compileCheck(body, 'body')((body as Fields).required === undefined ? misspelt(body) : {})) ||
    (params !== undefined && compileCheck(params, 'text')(badIds(params))) ||
    (querystring !== undefined && compileCheck(querystring, 'text')(misspelt(querystring)))
  return wrong ? { ...invalidFields, example: wrong } : invalidFields
}

const badIds = (schema: TSchema): Record<string, unknown> =>
  Object.fromEntries(Object.keys((schema as Fields).properties).map((name) => [name, '1']))

/** Input with a name that is not known. */
function misspelt(schema: TSchema): Record<string, unknown> {
  const [name] = Object.keys((schema as Fields).properties)
  return { [name === undefined ? 'verbose' : `${name}s`]: '1' }
}

const takesKey = (headers: unknown): boolean =>
  'idempotency-key' in ((headers as Partial<Fields> | undefined)?.properties ?? {})

interface Route {
  readonly method: string | readonly string[]
  readonly config?: FastifyContextConfig
}

/** A route's schema, completed with what is the same for all routes of its kind. */
function described(given: FastifySchema & { readonly security?: unknown }, route: Route): FastifySchema {
  const { body, headers, response, ...schema } = given
  const { access, uncounted = false, keepsReply = false } = route.config ?? {}
  const isRead = [route.method].flat().some((method) => method === 'GET' || method === 'HEAD')
  const sent: readonly ReplyHeader[] = [
    'X-Request-Id',
    ...(uncounted ? [] : (['RateLimit', 'RateLimit-Policy'] as const)),
    ...(access?.security.some(({ apiKey }) => apiKey !== undefined) ? (['API-Key-Expires'] as const) : []),
    ...(takesKey(headers) ? (['Idempotency-Replayed'] as const) : []),
  ]
  const own = Object.entries(response as Record<string, ProblemResponse>)
  const successes = own
    .filter(([status]) => Number(status) < 400)
    .map(([status, reply]) => [status, { ...reply, headers: { ...headersNamed(...sent), ...reply.headers } }])
  const failures = Object.fromEntries(own.filter(([status]) => Number(status) >= 400))
  const refusals = problems(
    // Beside refusals of their own, because a status that is listed is not looked up in `default`.
    ...general.filter(({ status }) => failures[status]?.content[problemType] !== undefined),
    ...(access?.refusals ?? []),
    ...(takesKey(headers) ? [idempotencyMismatch] : []),
    ...(keepsReply ? [idempotencyUnderWay] : []),
    wrongInput(given as Parts),
  )
  return {
    security: access?.security ?? [],
    ...schema,
    ...(headers !== undefined && { headers }),
    ...(!isRead && typeof body === 'object' && body !== null && { body: closed(body) }),
    response: {
      ...Object.fromEntries(successes),
      ...withMore(failures, refusals),
      default: generalResponse,
    },
  } as FastifySchema
}

const tags = [
  { name: 'requests', description: 'Ask, read, answer.' },
  { name: 'callbacks', description: 'The callbacks of all requests: what failed, and sending it again.' },
  { name: 'auth', description: 'People: registration, sign-in, sessions, profile.' },
  { name: 'factors', description: 'Second factors: authenticator apps, passkeys, recovery codes, step-up.' },
  { name: 'sso', description: "Sign-in with an organization's own OpenID Connect provider." },
  { name: 'organizations', description: 'The organization: its name, its owner, its end.' },
  { name: 'people', description: 'The people of an organization: invitations, members, roles.' },
  { name: 'teams', description: 'Groups of people and their leads.' },
  { name: 'agents', description: 'The programs that ask, and the switches that pause or stop them.' },
  { name: 'api-keys', description: 'The credentials of agents.' },
  { name: 'audit', description: 'What happened, sealed: read, export, keep, erase.' },
  { name: 'service', description: 'Health checks.' },
]

/** What the document says of an installation: where it is, and how to sign in there. */
export const ofInstallation = (publicUrl: string) => {
  const path = publicPath(publicUrl)
  return {
    servers: [{ url: path === '' ? '/' : path, description: 'This installation' }],
    securitySchemes: securitySchemes(publicUrl, path),
  }
}

const securitySchemes = (publicUrl: string, path: string) => ({
  person: {
    type: 'oauth2',
    description: 'A person: sign in with email and password.',
    flows: { password: { tokenUrl: `${path}/api/v1/auth/login`, scopes: {} } },
  },
  accessToken: {
    type: 'http',
    scheme: 'bearer',
    description: 'A person who has signed in, in whichever way: the access token.',
  },
  sessionCookie: {
    type: 'apiKey',
    in: 'cookie',
    name: cookieName(publicUrl, sessionCookie),
    description: 'A person whose browser session began with `session_cookie`; only from pages of this service.',
  },
  apiKey: {
    type: 'http',
    scheme: 'bearer',
    description: 'An agent: its API key (`hitl_…`). Each operation lists the scope that the key needs.',
  },
})

/** Collects all routes that are registered afterwards into an OpenAPI 3.1 document. */
export async function registerOpenApi(
  app: FastifyInstance,
  version: string,
  publicUrl: string,
  webhooks: () => Webhooks,
): Promise<void> {
  app.addSchema(problemSchema)
  const { servers, securitySchemes } = ofInstallation(publicUrl)
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'HITL',
        version,
        description:
          'Human-in-the-loop consultations: an agent asks, a person answers, the answer returns as a signed callback.\n\n' +
          'People sign in with `POST /api/v1/auth/login` and send the access token; agents send their API key. Both go ' +
          'into `Authorization: Bearer …`. Every reply carries `X-Request-Id`, also a refusal. Every refusal is `application/problem+json` with a `detail` for people and a ' +
          'stable `code` for programs. 429 and 503 carry `Retry-After`: wait that many seconds, then send the same call again, a creation with ' +
          'the same `Idempotency-Key`.\n\nThe values of `x-extensible-enum` are those of today: more may be added, so take what you do not know. ' +
          'What you send is checked against `enum`.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers,
      tags,
      components: { securitySchemes: securitySchemes as never, headers: replyHeaders as never },
    },
    transform: ({ schema, url, route }) => ({
      // Pages without an operationId are not part of the document.
      schema: schema?.operationId === undefined ? schema : described(schema, route),
      url,
    }),
    transformObject: (given) =>
      'openapiObject' in given ? (finished(given.openapiObject as Document, webhooks()) as never) : given.swaggerObject,
    refResolver: {
      buildLocalReference: (json, _baseUri, _fragment, i) => (typeof json.$id === 'string' ? json.$id : `def-${i}`),
    },
  })
}
