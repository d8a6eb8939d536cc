import type { FastifySchemaCompiler, FastifyServerOptions } from 'fastify'
import { compileCheck } from '../platform/validation.ts'

const compile: FastifySchemaCompiler<Record<string, unknown>> = ({ schema, httpPart }) => {
  const check = compileCheck(schema, httpPart === 'body' ? 'body' : 'text')
  return (data: unknown) => {
    const error = check(data)
    return error === null ? { value: data } : { error }
  }
}

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
