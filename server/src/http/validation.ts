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
 * Validates against TypeBox schemas; every wrong field is named at once, as 422. Given as factories, because a scope that
 * calls addSchema forgets what setValidatorCompiler said and falls back to the framework's coercing compiler.
 */
export const schemaController: NonNullable<FastifyServerOptions['schemaController']> = {
  compilersFactory: {
    buildValidator: () => compile as never,
    // Replies are written by the representations; their schemas are documentation, which the tests hold them to.
    buildSerializer: () => () => (data) => JSON.stringify(data),
  },
}
