import assert from 'node:assert/strict'
import { subscribe } from 'node:diagnostics_channel'
import type { FastifyInstance, RouteOptions } from 'fastify'
import type { TestApp } from '../harness.ts'
import { resolvedDocument } from './resolved-document.ts'

export interface Schema {
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly format?: string
  readonly maxLength?: number
  readonly maxItems?: number
  readonly maxProperties?: number
  readonly properties?: Readonly<Record<string, Schema>>
  readonly patternProperties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: boolean | Schema
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
}

interface Documented {
  readonly operationId: string
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[]
  readonly parameters?: readonly { readonly name: string; readonly schema: Schema }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }
}

export interface Operation {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly documented: Documented
  /** As the route was given it; the document rewrites some of it. */
  readonly body: Schema | undefined
  readonly query: Schema
}

export const bodyLimit = 1_048_576

const routes: RouteOptions[] = []
subscribe('fastify.initialization', (message) => {
  const { fastify } = message as { readonly fastify: FastifyInstance }
  fastify.addHook('onRoute', (route) => void routes.push(route))
})

/** Every operation of the document, with the schemas that its route was given. */
export function operationsOf(t: TestApp): readonly Operation[] {
  const { paths } = resolvedDocument(t) as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, Documented>>>>
  }
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, documented]) => {
      const route = routes.find(({ schema }) => schema?.operationId === documented.operationId)
      assert.ok(route?.schema)
      const { body, querystring: query } = route.schema as { readonly body?: Schema; readonly querystring: Schema }
      return { id: documented.operationId, method: method.toUpperCase(), path, documented, body, query }
    }),
  )
}
