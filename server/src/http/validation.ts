import type {
  FastifyInstance,
  FastifySchema,
  FastifySchemaCompiler,
  FastifyServerOptions,
  preValidationHookHandler,
} from 'fastify'
import { type TObject, Type } from 'typebox'
import { compileCheck } from '../platform/validation.ts'

const compile: FastifySchemaCompiler<Record<string, unknown>> = ({ schema, httpPart }) => {
  const check = compileCheck(schema, httpPart === 'body' || httpPart === 'headers' ? httpPart : 'text')
  return (data: unknown) => {
    const error = check(data)
    return error === null ? { value: data } : { error }
  }
}

/** For a route that reads its body itself: its schema is for the documents. */
export const compileAllButBody: FastifySchemaCompiler<FastifySchema> = (route) =>
  route.httpPart === 'body' ? () => ({ value: undefined }) : compile(route as never)

/**
 * Validates against TypeBox schemas and names every wrong field at once, as 422. Passed as factories, because a scope that
 * calls addSchema forgets setValidatorCompiler and falls back to the framework's coercing compiler.
 */
export const schemaController: NonNullable<FastifyServerOptions['schemaController']> = {
  compilersFactory: {
    buildValidator: () => compile as never,
    // Replies are not validated here: their schemas are documentation, and tests hold the replies to them.
    buildSerializer: () => () => (data) => JSON.stringify(data),
  },
}

export const nothing = Type.Object({})
const checkNothing = compileCheck(nothing, 'body')

const refuseMembers: preValidationHookHandler = (request, _reply, done) => {
  done((request.body == null ? null : checkNothing(request.body)) ?? undefined)
}

/** Whether a call without a body is refused: `{}` would not do. */
export function needsBody(schema: unknown): boolean {
  if (schema === undefined) return false
  const { type, required = [], minProperties = 0 } = schema as Partial<TObject> & { readonly minProperties?: number }
  return type !== 'object' || required.length > 0 || minProperties > 0
}

const takeNothing: preValidationHookHandler = (request, _reply, done) => {
  request.body ??= {}
  done()
}

/** Operations without parameters or members of a body take none, instead of any. Pages, which have no operationId, may be linked with more. */
export function closeOperations(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    if (route.schema?.operationId === undefined) return
    route.schema = { querystring: nothing, ...route.schema }
    // The bodies of GET and HEAD are never read.
    if (route.schema.body === undefined && route.method !== 'GET' && route.method !== 'HEAD') {
      route.preValidation = [refuseMembers, ...[route.preValidation ?? []].flat()]
    } else if (route.schema.body !== undefined && !needsBody(route.schema.body)) {
      route.preValidation = [takeNothing, ...[route.preValidation ?? []].flat()]
    }
  })
}
