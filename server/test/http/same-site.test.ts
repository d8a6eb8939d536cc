import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fastify from 'fastify'
import { createSameSiteCheck } from '../../src/http/same-site.ts'
import { Problem } from '../../src/platform/problem.ts'

const own = 'https://hitl.example.com'
const foreign = 'https://evil.example'
const check = createSameSiteCheck(`${own}/below`)

/** Every origin with every value of Sec-Fetch-Site. */
const origins = [
  undefined,
  own,
  'https://app.example.com',
  foreign,
  'null',
  `${own}:8443`,
  'http://hitl.example.com',
  `${own}.evil.example`,
  '',
]
const sites = [
  undefined,
  'same-origin',
  'same-site',
  'cross-site',
  'none',
  '',
  'Same-Origin',
  'same-origin, cross-site',
]

const allowed = (origin: string | undefined, site: string | undefined): boolean =>
  origin === own ? site !== 'none' : site === 'same-origin'

describe('a call with a cookie passes only when the browser vouches for its page', () => {
  const app = fastify()
  app.post('/', async (request) => {
    check(request)
    return 'ok'
  })
  app.setErrorHandler((error, _request, reply) => {
    assert.ok(error instanceof Problem)
    return reply.status(error.status).send(error.code)
  })

  for (const origin of origins) {
    for (const site of sites) {
      test(`${allowed(origin, site) ? 'passes' : '403'}: Origin ${origin ?? '-'}, Sec-Fetch-Site ${site ?? '-'}`, async () => {
        const headers = {
          cookie: '__Host-session=x',
          ...(origin === undefined ? {} : { origin }),
          ...(site === undefined ? {} : { 'sec-fetch-site': site }),
        }
        const reply = await app.inject({ method: 'POST', url: '/', headers })
        assert.deepEqual([reply.statusCode, reply.body], allowed(origin, site) ? [200, 'ok'] : [403, 'auth.cross_site'])
      })
    }
  }
})
