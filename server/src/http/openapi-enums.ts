/** The part of the generated document that is read here. */
interface Document {
  readonly paths?: Readonly<Record<string, Readonly<Record<string, object>>>>
  readonly webhooks?: object
  readonly components?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

type Part = Readonly<Record<string, unknown>>
type Schemas = Readonly<Record<string, unknown>>

const prefix = '#/components/schemas/'

/**
 * Opens the enums of what the service sends: values may be added to them, and clients in Python and Java fail on one that they do
 * not know. The values become `x-extensible-enum`, a list that generators leave alone. What callers send stays closed
 * (docs/decisions/0016-open-enums.md).
 */
export function openEnums<Given extends Document>(document: Given): Given {
  const { paths = {}, webhooks, components = {} } = document
  const schemas = components.schemas ?? {}
  const operations = Object.values(paths).flatMap((path) => Object.values(path) as Part[])
  const taken = namesIn(
    operations.map(({ parameters, requestBody }) => [parameters, requestBody]),
    schemas,
  )
  const sent = namesIn([webhooks, operations.map(({ responses, callbacks }) => [responses, callbacks])], schemas)
  const opened = (part: unknown): unknown => openedIn(part, (name) => (taken.has(name) ? schemas[name] : undefined))

  const openedSchemas = Object.entries(schemas).map(([name, schema]): [string, unknown] => {
    if (!sent.has(name)) return [name, schema]
    if (!taken.has(name)) return [name, opened(schema)]
    if (!isChoice(schema) && JSON.stringify(opened(schema)) !== JSON.stringify(schema)) {
      throw new Error(`${name} is both taken and sent, and has an enum: make two schemas of it`)
    }
    return [name, schema]
  })
  const openedPaths = Object.entries(paths).map(([path, methods]) => {
    const operations = Object.entries(methods).map(([method, operation]) => {
      const { responses, callbacks } = operation as Part
      const out = { responses: opened(responses), ...(callbacks !== undefined && { callbacks: opened(callbacks) }) }
      return [method, { ...operation, ...out }]
    })
    return [path, Object.fromEntries(operations)]
  })
  return {
    ...document,
    paths: Object.fromEntries(openedPaths),
    ...(webhooks !== undefined && { webhooks: opened(webhooks) }),
    components: { ...components, schemas: Object.fromEntries(openedSchemas) },
  }
}

/** An enum of one value is a constant. */
function isChoice(part: unknown): part is { readonly enum: readonly unknown[] } {
  const { enum: values } = (part ?? {}) as { readonly enum?: unknown }
  return Array.isArray(values) && values.length > 1
}

/** Every component that the part refers to, also through others. */
function namesIn(part: unknown, schemas: Schemas, found = new Set<string>()): Set<string> {
  if (typeof part !== 'object' || part === null) return found
  for (const [key, value] of Object.entries(part)) {
    const name = key === '$ref' && String(value).startsWith(prefix) ? String(value).slice(prefix.length) : null
    if (name === null) namesIn(value, schemas, found)
    else if (!found.has(name)) namesIn(schemas[name], schemas, found.add(name))
  }
  return found
}

/** `closed`: the component of this name, if it has to stay as it is. */
function openedIn(part: unknown, closed: (name: string) => unknown): unknown {
  if (Array.isArray(part)) return part.map((one) => openedIn(one, closed))
  if (typeof part !== 'object' || part === null) return part
  if (isChoice(part)) {
    const { enum: values, ...rest } = part
    return { ...rest, 'x-extensible-enum': values }
  }
  const { $ref, ...beside } = part as { readonly $ref?: string }
  const referred = $ref?.startsWith(prefix) ? closed($ref.slice(prefix.length)) : undefined
  if (isChoice(referred)) return openedIn({ ...referred, ...beside }, closed)
  const entries = Object.entries(part).map(([name, value]) => [name, openedIn(value, closed)])
  const { anyOf, ...about } = Object.fromEntries(entries) as { readonly anyOf?: readonly Part[] }
  // "Or null" is said by the type where the value has no name.
  const [value, none] = anyOf?.length === 2 ? anyOf : []
  if (value?.['x-extensible-enum'] !== undefined && none?.type === 'null') {
    return { ...value, ...about, type: [value.type, 'null'] }
  }
  return anyOf === undefined ? about : { ...about, anyOf }
}
