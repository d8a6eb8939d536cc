import { refusals } from '../platform/problem.ts'
import { openEnums } from './openapi-enums.ts'

/** The part of the generated document that is read here. */
export interface Document {
  readonly paths?: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly webhooks?: Readonly<Record<string, object>>
  readonly components?: Components
}

type Components = Readonly<Record<string, Readonly<Record<string, unknown>>>>

interface Operation {
  readonly operationId?: string
  readonly parameters?: readonly Parameter[]
  readonly responses?: Readonly<Record<string, object>>
}

interface Parameter {
  readonly name: string
  readonly in: string
}

interface Schema {
  readonly $ref?: string
  readonly title?: string
  readonly type?: unknown
  readonly properties?: object
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Schema[]
  readonly items?: Schema
}

/**
 * The document as clients are made from it: every input, output and list of values is a component with a name, so that
 * generators need not invent one, and what several operations have in common is written once. Repeated in full at each
 * operation it would be three times as large.
 */
export function finished(document: Document, webhooks: Webhooks): Document {
  return shareParts(openEnums(listCodes(nameSchemas(plainer(withCalls(document, webhooks))))))
}

/** A call that the service makes, where an operation asked for it. */
export interface Webhook {
  readonly post: { readonly operationId: string; readonly [member: string]: unknown }
  /** The operation that asks for it, and where in it the address stands. */
  readonly askedBy: { readonly operationId: string; readonly address: string; readonly as: string }
}
export type Webhooks = Readonly<Record<string, Webhook>>

/**
 * The calls twice: as the document's webhooks, and as callbacks of the operations that ask for them. Some generators look
 * at one only, or leave out the schemas of the other.
 */
function withCalls(document: Document, webhooks: Webhooks): Document {
  const paths = changed(document.paths ?? {}, (part) => {
    const asked = Object.values(webhooks).filter(({ askedBy }) => askedBy.operationId === part.operationId)
    if (asked.length === 0) return part
    const callbacks = asked.map(({ post, askedBy: { address, as } }) => [
      as,
      { [address]: { post: { ...post, operationId: as } } },
    ])
    return { ...part, callbacks: Object.fromEntries(callbacks) }
  })
  return { ...document, paths, webhooks: mapped(webhooks, (webhook) => ({ post: (webhook as Webhook).post })) as never }
}

/** Applies a change to every object, from the inside out. */
function changed<T>(value: T, change: (part: Record<string, unknown>, name: string) => unknown): T {
  const isObject = (part: unknown) => typeof part === 'object' && part !== null && !Array.isArray(part)
  return JSON.parse(JSON.stringify(value), (name, part) => (isObject(part) ? change(part, name) : part)) as T
}

/** Forms that every generator understands: enums with a type, and `type: [string, null]` for a plain value that may be null. */
function plainer(document: Document): Document {
  return changed(document, (part) => {
    const { 'x-order': _order, ...schema } = part
    if (isResponse(part)) return { ...part, headers: referredTo(part.headers) }
    if (schema.additionalProperties === true && isEmpty(schema.properties)) delete schema.properties
    if (Array.isArray(schema.enum)) return { type: 'string', ...schema }
    const [value, none, ...others] = Array.isArray(schema.anyOf) ? (schema.anyOf as Schema[]) : []
    // A form sends it as text.
    if (value?.type === 'boolean') return { ...value, description: schema.description }
    const isPlain = typeof value?.type === 'string' && value.title === undefined && value.enum === undefined
    if (!isPlain || none?.type !== 'null' || others.length > 0) return schema
    const { anyOf: _either, ...about } = schema
    return { ...value, ...about, type: [value.type, 'null'] }
  })
}

const isEmpty = (properties: unknown): boolean =>
  typeof properties === 'object' && properties !== null && Object.keys(properties).length === 0

const isResponse = (part: Record<string, unknown>): part is { readonly headers: object } =>
  typeof part.description === 'string' && typeof part.headers === 'object'

/** The headers that are described in the components. */
function referredTo(headers: object): Record<string, unknown> {
  const names = Object.keys(headers).map((name) => [name, { $ref: refTo('headers', name) }])
  return Object.fromEntries(names)
}

/** Every object and enum with a title becomes the component of that name, wherever it stands. */
function nameSchemas(document: Document): Document {
  const schemas = new Map<string, { readonly shape: object; readonly description: unknown }>()
  const { components, ...rest } = changed(document, (part) => {
    const { title, type, properties, enum: values } = part as Schema
    if (typeof title !== 'string' || (values === undefined && (type !== 'object' || properties === undefined)))
      return part
    // The description of a parameter is beside its schema.
    const { description, ...shape } = part
    const known = schemas.get(title)
    if (known !== undefined && JSON.stringify(known.shape) !== JSON.stringify(shape)) {
      throw new Error(`two schemas have the title ${title}: give one of them another`)
    }
    schemas.set(title, { shape, description: known?.description ?? description })
    return { $ref: `#/components/schemas/${title}` }
  })
  const named = [...schemas].map(
    ([name, { shape, description }]) => [name, description === undefined ? shape : { ...shape, description }] as const,
  )
  const others = Object.entries(components?.schemas ?? {}).filter(([name]) => !schemas.has(name))
  return { ...rest, components: { ...components, schemas: sorted([...named, ...others]) } }
}

/** Every code that a refusal can have, as a list of its own: SDKs switch on it. */
function listCodes(document: Document): Document {
  const { components = {} } = document
  const ProblemCode = {
    type: 'string',
    title: 'ProblemCode',
    description: 'What was refused, for programs.',
    enum: refusals().map((refusal) => refusal.code),
  }
  const { Problem, ...schemas } = components.schemas ?? {}
  const { properties } = Problem as { properties: Record<string, unknown> }
  const withCode = {
    ...(Problem as object),
    properties: { ...properties, code: { $ref: refTo('schemas', 'ProblemCode') } },
  }
  return { ...document, components: { ...components, schemas: { ...schemas, Problem: withCode, ProblemCode } } }
}

/** Examples, parameters and responses that stand in several places become components. */
function shareParts(document: Document): Document {
  const { paths = {}, components = {} } = document
  const operations = Object.values(paths).flatMap((path) => Object.values(path))

  const examples = shared(
    operations.flatMap((operation) =>
      contentsOf(operation).flatMap(({ schema, examples = {}, example }) => [
        ...Object.entries(examples).map(([name, value]): Use => [name, value, `${name}.${operation.operationId}`]),
        ...(example === undefined ? [] : [[nameOf(schema), { value: example }] as const]),
      ]),
    ),
    'examples',
  )
  const withExamples = changed(paths, (part) => {
    if (part.schema === undefined) return part
    const { example, ...content } = part
    const only = example === undefined ? undefined : examples.replaced({ value: example })
    if (only !== undefined && '$ref' in (only as object)) return { ...content, examples: { example: only } }
    return part.examples === undefined
      ? part
      : { ...part, examples: mapped(part.examples as object, examples.replaced) }
  })

  const slim = Object.values(withExamples).flatMap((path) => Object.values(path))
  const parameters = shared(
    slim.flatMap(({ operationId = '', parameters = [] }) =>
      parameters.map(
        (parameter): Use => [pascal(parameter.name), parameter, pascal(`${operationId} ${parameter.name}`)],
      ),
    ),
    'parameters',
  )
  const responses = shared(
    slim.flatMap(({ operationId = '', responses = {} }) =>
      Object.entries(responses).flatMap(([status, response]): Use[] => {
        // Successes have the names of their schemas in clients.
        if (/^[23]/.test(status)) return []
        const codes = codesOf(response)
        const name = status === 'default' ? 'Refused' : pascal(`${operationId} ${status}`)
        return [codes.length === 1 ? [pascal(codes[0] ?? ''), response, name] : [name, response]]
      }),
    ),
    'responses',
  )
  return {
    ...document,
    paths: mapped(withExamples, (path) =>
      mapped(path as Record<string, Operation>, (operation) => {
        const { parameters: given, responses: replies } = operation as Operation
        return {
          ...(operation as Operation),
          ...(given && { parameters: given.map((parameter) => parameters.replaced(parameter)) }),
          ...(replies && { responses: mapped(replies, responses.replaced) }),
        }
      }),
    ) as NonNullable<Document['paths']>,
    components: {
      ...components,
      parameters: parameters.components,
      responses: responses.components,
      examples: examples.components,
    },
  }
}

/** One use of a part, and what to call it: by the first name that is free. */
type Use = readonly [name: string, part: unknown, otherName?: string]

function shared(uses: readonly Use[], kind: string) {
  const names = new Map<string, string>()
  const components = new Map<string, unknown>()
  for (const same of Map.groupBy(uses, ([, part]) => JSON.stringify(part)).values()) {
    const [first] = same
    if (first === undefined || same.length < 2) continue
    const [, part, ...otherNames] = first
    const name = [first[0], ...otherNames].find((wanted) => wanted !== undefined && !components.has(wanted))
    if (name === undefined) continue
    components.set(name, part)
    names.set(JSON.stringify(part), name)
  }
  return {
    components: sorted([...components]),
    replaced: (part: unknown): unknown => {
      const name = names.get(JSON.stringify(part))
      return name === undefined ? part : { $ref: refTo(kind, name) }
    },
  }
}

interface Content {
  readonly schema?: Schema
  readonly example?: unknown
  readonly examples?: Readonly<Record<string, unknown>>
}

/** A name for an example of the schema. */
const nameOf = (schema: Schema | undefined): string =>
  schema?.items === undefined
    ? (schema?.$ref?.replace('#/components/schemas/', '') ?? 'Value')
    : `${nameOf(schema.items)}List`

function contentsOf(operation: Operation): readonly Content[] {
  const replies = Object.values(operation.responses ?? {}) as { readonly content?: Readonly<Record<string, Content>> }[]
  return replies.flatMap(({ content = {} }) => Object.values(content))
}

const codesOf = (response: object): readonly string[] => {
  const { content } = response as { readonly content?: Readonly<Record<string, Content>> }
  return Object.keys(content?.['application/problem+json']?.examples ?? {})
}

const refTo = (kind: string, name: string): string => `#/components/${kind}/${name}`
const pascal = (text: string): string =>
  text.replace(/(?:^|[^A-Za-z0-9]+)([A-Za-z0-9])/g, (_, letter) => letter.toUpperCase())
const mapped = (given: object, change: (value: unknown) => unknown): Record<string, unknown> =>
  Object.fromEntries(Object.entries(given).map(([name, value]) => [name, change(value)]))
const sorted = <T>(entries: readonly (readonly [string, T])[]): Record<string, T> =>
  Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)))
