import assert from 'node:assert/strict'
import type { TestApp } from '../harness.ts'
import { resolvedDocument } from '../http/resolved-document.ts'

/** A place for an id in a call. */
export interface Place {
  readonly in: 'path' | 'query' | 'body'
  readonly name: string
  /** Its name in `Ids`. */
  readonly key: string
}

export interface Operation {
  readonly id: string
  readonly method: string
  readonly path: string
  /** The example of the body, if it has one. */
  readonly body: unknown
  readonly places: readonly Place[]
}

/** By the name of the parameter or member or, if that is just `id`, by the collection in the path. */
export type Ids = Readonly<Record<string, string>>

export interface Call {
  readonly method: string
  readonly path: string
  readonly body: unknown
}

interface Schema {
  readonly format?: string
  readonly $ref?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly examples?: readonly unknown[]
}

interface Documented {
  readonly operationId: string
  readonly parameters?: readonly { readonly in: string; readonly name: string; readonly schema: Schema }[]
  readonly requestBody?: {
    readonly content: Readonly<
      Record<
        string,
        {
          readonly schema: Schema
          readonly example?: unknown
          readonly examples?: Readonly<Record<string, { readonly value: unknown }>>
        }
      >
    >
  }
}

const namesId = (schema: Schema): boolean => JSON.stringify(schema).includes('"format":"uuid"')

/** The operations in openapi.json; `bodies` replace its examples. */
export function operationsOf(t: TestApp, bodies: Readonly<Record<string, unknown>>): readonly Operation[] {
  const { paths } = resolvedDocument(t) as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, Documented>>>>
  }
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId: id, parameters = [], requestBody }]): Operation => {
      // Log-in declares the form, and takes JSON as well.
      const content = Object.values(requestBody?.content ?? {})[0]
      const example =
        content?.example ?? content?.schema.examples?.[0] ?? Object.values(content?.examples ?? {})[0]?.value
      const schema = content?.schema
      const places = [
        ...[...path.matchAll(/\{(\w+)\}/g)].map(
          ([, name = '']): Place => ({ in: 'path', name, key: keyOf(path, name) }),
        ),
        ...parameters
          .filter((parameter) => parameter.in === 'query' && namesId(parameter.schema))
          .map(({ name }): Place => ({ in: 'query', name, key: name })),
        ...Object.entries(schema?.properties ?? {})
          .filter(([, member]) => namesId(member))
          .map(([name]): Place => ({ in: 'body', name, key: name })),
      ]
      const isForm = requestBody?.content['multipart/form-data'] !== undefined
      return { id, method: method.toUpperCase(), path, body: bodies[id] ?? (isForm ? formWith() : example), places }
    }),
  )
}

/** A form with one file. */
export function formWith(content = 'hello', { name = 'notes.txt', type = 'text/plain' } = {}): FormData {
  const form = new FormData()
  form.set('file', new Blob([content], { type }), name)
  return form
}

function keyOf(path: string, name: string): string {
  if (name !== 'id') return name
  if (path.endsWith('/totp/{id}/confirm')) return 'begun_totp'
  const collection = path.slice(0, path.indexOf('/{id}')).split('/').at(-1)
  return collection ?? ''
}

/** Members of bodies that are lists of ids. */
const lists: ReadonlySet<string> = new Set(['attachments'])

/** Which ids to replace together: all in the path, each in the path alone, and each optional id of query and body alone. */
export function namings({ places }: Operation): readonly (readonly Place[])[] {
  const inPath = places.filter((place) => place.in === 'path')
  const alone = places.filter((place) => place.in !== 'path' || inPath.length > 1)
  return [...(inPath.length > 0 ? [inPath] : []), ...alone.map((place) => [place])]
}

/**
 * The call with `ids` in its path and, where the example names something, in its body. The places in `named` have the ids of
 * `strange` instead, and no other place of query or body has an id.
 */
export function callOf(
  { method, path, body, places }: Operation,
  ids: Ids,
  { named = [], strange = ids }: { readonly named?: readonly Place[]; readonly strange?: Ids } = {},
): Call {
  const idFor = (place: Place): string => {
    const id = (named.includes(place) ? strange : ids)[place.key]
    assert.ok(id !== undefined, `there is no ${place.key} for ${method} ${path}`)
    return id
  }
  const at = (kind: Place['in']) => places.filter((place) => place.in === kind)
  const filled = at('path').reduce((made, place) => made.replace(`{${place.name}}`, idFor(place)), path)
  const asked = named.filter((place) => place.in === 'query').map((place) => `${place.name}=${idFor(place)}`)
  return { method, path: asked.length > 0 ? `${filled}?${asked.join('&')}` : filled, body: filledBody() }

  function filledBody(): unknown {
    const ofBody = at('body')
    if (typeof body !== 'object' || body === null || ofBody.length === 0) return body
    const naming = ofBody.filter((place) => named.includes(place))
    const told = Object.entries(body).filter(
      ([name]) => naming.length === 0 || !ofBody.some((one) => one.name === name),
    )
    const wanted = naming.length > 0 ? naming : ofBody.filter(({ name }) => name in body)
    // A map from words of a claim to ids; the claim must be named with it.
    const put = (place: Place) =>
      place.name === 'team_map'
        ? { team_claim: 'groups', team_map: { staff: idFor(place) } }
        : { [place.name]: lists.has(place.name) ? [idFor(place)] : idFor(place) }
    return Object.assign(Object.fromEntries(told), ...wanted.map(put)) as unknown
  }
}
