import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import pg from 'pg'
import { UsageError } from '../../src/commands/command.ts'
import { Interrupted } from '../../src/commands/hidden-prompt.ts'
import { outcomeOf } from '../../src/commands/outcome.ts'
import { ConfigError } from '../../src/config.ts'
import { asProblem } from '../../src/platform/database/errors.ts'
import { Problem } from '../../src/platform/problem.ts'

function fromPostgres(code: string, message: string): Error {
  return Object.assign(new pg.DatabaseError(message, message.length, 'error'), { code })
}

function fromSystem(code: string, syscall: string): Error {
  return Object.assign(new Error(`${syscall} ${code} 127.0.0.1:5432`), { code, syscall })
}

const refused = fromSystem('ECONNREFUSED', 'connect')
const untrusted = Object.assign(new Error('self-signed certificate'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })

describe('the exit code of a command, by what went wrong', () => {
  for (const [what, error, exitCode, code, next] of [
    ['the line is wrong', new UsageError('x', 'y'), 64, 'usage', /^y$/],
    ['the settings are wrong', new ConfigError(['PORT x', 'HOST y']), 78, 'config.invalid', /hitl config check/],
    ['a rule refuses', new Problem(409, 'auth.email_taken', 'x'), 1, 'auth.email_taken', null],
    ['Ctrl-C at a question', new Interrupted(), 130, 'interrupted', null],
    ['no database there', refused, 69, 'database.unavailable', /DATABASE_URL names its host and port/],
    ['on none of its addresses', new AggregateError([refused, refused]), 69, 'database.unavailable', /Check/],
    ['no such host', fromSystem('ENOTFOUND', 'getaddrinfo'), 69, 'database.unavailable', /Check/],
    ['as a store tells it', asProblem(refused), 69, 'database.unavailable', /Check/],
    ['the database starts', fromPostgres('57P03', 'starting up'), 69, 'database.unavailable', /Check/],
    ['it is full', fromPostgres('53300', 'too many clients'), 69, 'database.unavailable', /Check/],
    ['it hangs', new Error('timeout expired'), 69, 'database.unavailable', /Check/],
    ['it went away', new Error('Connection terminated unexpectedly'), 69, 'database.unavailable', /Check/],
    [
      'wrong password',
      fromPostgres('28P01', 'password authentication failed'),
      78,
      'database.refused',
      /rights in DATABASE_URL/,
    ],
    ['no such database', fromPostgres('3D000', 'database "x" does not exist'), 78, 'database.refused', /DATABASE_URL/],
    ['not allowed to', fromPostgres('42501', 'permission denied'), 78, 'database.refused', /rights/],
    ['its certificate is not trusted', untrusted, 78, 'database.refused', /DATABASE_CA/],
    ['it has no TLS', new Error('The server does not support SSL connections'), 78, 'database.refused', /sslmode/],
    ['the port is taken', fromSystem('EADDRINUSE', 'listen'), 1, 'port.taken', /another port/],
  ] as const) {
    test(`${what}: ${exitCode}`, () => {
      const outcome = outcomeOf(error)
      assert.deepEqual([outcome.exitCode, outcome.code], [exitCode, code])
      if (next === null) assert.equal(outcome.next, undefined)
      else assert.match(outcome.next ?? '', next)
      assert.equal(outcome.stack, undefined)
    })
  }

  test('an unexpected error: 1, with the stack on request', () => {
    const outcome = outcomeOf(new TypeError('x is not a function'))
    assert.equal(outcome.exitCode, 1)
    assert.match(outcome.stack ?? '', /outcome\.test\.ts/)
    assert.equal(outcomeOf('a string').message, 'a string')
  })
})
