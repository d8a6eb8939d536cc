import swagger from '@fastify/swagger'
import type { FastifyInstance, FastifySchema } from 'fastify'
import { type TSchema, Type } from 'typebox'
import { type AnyRefusal, refusals } from '../platform/problem.ts'
import { closed } from '../platform/validation.ts'
import { problemBody } from './problems.ts'
import { publicPath } from './public-path.ts'
import { overloaded, shared } from './refusals.ts'

/** RFC 9457: the form of every refusal. */
export const problemSchema = Type.Object(
  {
    type: Type.String({ description: 'Always "about:blank": `code` is what programs switch on.' }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: 'Stable identifier for programs, such as `consultation.already_responded`.' }),
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

/** Path parameters of a single item. */
export const idParams = Type.Object({ id: Type.String({ format: 'uuid' }) })

/** The item's id as rows hold it: in lower case, however the caller spelled it. */
export function idOf({ params }: { readonly params: { readonly id: string } }): string {
  return params.id.toLowerCase()
}

/** The part of the generated document that is read here. */
interface Document {
  readonly paths?: Readonly<Record<string, object>>
  readonly components?: { readonly schemas?: Readonly<Record<string, object>>; readonly responses?: object }
}

/** What one status of a route can say: refusals by code. */
interface ProblemResponse {
  readonly description: string
  readonly content: { readonly 'application/problem+json': { readonly schema: object; readonly examples: object } }
}

/** Always possible, so always listed: a malformed call, a repeated parameter, too many calls, a failure, an outage, no room. */
const always = [400, 422, 429, 500, 503, overloaded] as const

const exampleRequestId = '5c0b3bd0-0f3c-4a53-9f0e-0a8f6f0c7b1e'

/** The `response` entries of a route for the refusals it can give: its own, and the shared ones by their status. */
export function problems(...listed: readonly (keyof typeof shared | AnyRefusal)[]): Record<string, ProblemResponse> {
  const all = [...always, ...listed].map((given): AnyRefusal => (typeof given === 'number' ? shared[given] : given))
  const entries = [...Map.groupBy(all, ({ status }) => status)].map(([status, refusals]) => {
    // The route's own come last: they are more specific than the shared ones.
    const byCode = new Map(refusals.reverse().map((refusal) => [refusal.code, refusal]))
    const examples = Object.fromEntries(
      [...byCode].map(([code, { example }]) => [code, { value: problemBody(example, exampleRequestId) }]),
    )
    const description = [...byCode.values()].map(({ example }) => example.message).join(' · ')
    return [status, { description, content: { 'application/problem+json': { schema: Type.Ref('Problem'), examples } } }]
  })
  return Object.fromEntries(entries)
}

/**
 * Refusals that several operations list are written once, in `components.responses`, named by their codes: repeated in full
 * at each operation they would be four fifths of the document.
 */
function shareProblems(document: Document): Document {
  const operations = Object.values(document.paths ?? {}).flatMap((path) => Object.values(path ?? {})) as {
    responses?: Record<string, unknown>
  }[]
  const uses = operations.flatMap(({ responses = {} }) =>
    Object.entries(responses).flatMap(([status, response]) => {
      const examples = (response as Partial<ProblemResponse>).content?.['application/problem+json']?.examples
      if (examples === undefined) return []
      const name = Object.keys(examples).join('-or-')
      return [{ responses, status, name, response, text: JSON.stringify(response) }]
    }),
  )
  const components: Record<string, unknown> = {}
  for (const same of Map.groupBy(uses, ({ text }) => text).values()) {
    const [first] = same
    if (first === undefined || same.length < 2 || components[first.name] !== undefined) continue
    components[first.name] = first.response
    for (const { responses, status } of same) responses[status] = { $ref: `#/components/responses/${first.name}` }
  }
  return { ...document, components: { ...document.components, responses: components } }
}

/** Every code that a refusal can have, as an enum of its own: SDKs switch on it. */
function listCodes(document: Document): Document {
  const { Problem, ...schemas } = document.components?.schemas ?? {}
  const { properties } = problemSchema
  const code = { $ref: '#/components/schemas/ProblemCode' }
  const ProblemCode = { type: 'string', title: 'ProblemCode', enum: refusals().map((refusal) => refusal.code) }
  const withCode = { ...Problem, properties: { ...properties, code } }
  return {
    ...document,
    components: { ...document.components, schemas: { ...schemas, Problem: withCode, ProblemCode } },
  }
}

/** Every enum says that it holds strings: without a type, generators make it anything. */
function typeEnums(document: Document): Document {
  return JSON.parse(JSON.stringify(document), (_key, value) =>
    Array.isArray(value?.enum) ? { type: 'string', ...value } : value,
  ) as Document
}

/** A successful reply with its schema and an example. */
export function success(description: string, schema: TSchema, example: unknown): Record<string, unknown> {
  return { description, content: { 'application/json': { schema, example } } }
}

/** Everything but GET and HEAD can come with a body, if only where none is needed, that is too large or of another kind. */
function withBody({ body, response, ...schema }: FastifySchema = {}, methods: readonly string[]): FastifySchema {
  if (methods.includes('GET') || methods.includes('HEAD')) return { ...schema, response }
  const { 413: tooLarge, 415: otherKind } = problems(413, 415)
  return {
    ...schema,
    ...(typeof body === 'object' && body !== null && { body: closed(body) }),
    response: { 413: tooLarge, 415: otherKind, ...(response as object) },
  }
}

/** Collects all routes that are registered afterwards into an OpenAPI 3.1 document. */
export async function registerOpenApi(app: FastifyInstance, version: string, publicUrl: string): Promise<void> {
  app.addSchema(problemSchema)
  const path = publicPath(publicUrl)
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
      servers: [{ url: path === '' ? '/' : path, description: 'This installation' }],
      tags: [
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
      ],
      components: {
        securitySchemes: {
          person: {
            type: 'oauth2',
            description: 'A person: sign in with email and password.',
            flows: { password: { tokenUrl: `${path}/api/v1/auth/login`, scopes: {} } },
          },
          bearer: { type: 'http', scheme: 'bearer', description: 'An access token, or an API key (`hitl_…`).' },
        },
      },
    },
    transform: ({ schema, url, route }) => ({ schema: withBody(schema, [route.method].flat()), url }),
    transformObject: (given) =>
      'openapiObject' in given
        ? typeEnums(listCodes(shareProblems(given.openapiObject as Document)))
        : given.swaggerObject,
    refResolver: {
      buildLocalReference: (json, _baseUri, _fragment, i) => (typeof json.$id === 'string' ? json.$id : `def-${i}`),
    },
  })
}
