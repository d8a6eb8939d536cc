import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { warningsFor } from '../../src/commands/config-warnings.ts'
import { loadConfig } from '../../src/config.ts'

const key = 'k3Jf9sLq2Vx8Zr1Tn6Wb4Yc7Hd0Mg5Pp'
const sound = {
  NODE_ENV: 'production',
  HOST: '0.0.0.0',
  PUBLIC_URL: 'https://hitl.example.com',
  TRUSTED_PROXIES: '10.0.0.0/8',
  DATABASE_URL: 'postgres://hitl:pw@db.internal/hitl?sslmode=verify-full',
  SECRET_KEY: key,
}

const warned = (environment: NodeJS.ProcessEnv): readonly string[] =>
  warningsFor(loadConfig(environment, '/nonexistent/.env')).map(({ setting }) => setting)

const database = (url: string) => ({
  ...sound,
  DATABASE_URL: `postgres://hitl:pw@${url}`,
  DATABASE_INSECURE: 'true',
})

describe('the warnings of config check', () => {
  for (const [what, environment, settings] of [
    ['nothing set, on this machine alone', {}, []],
    ['a sound production', sound, []],
    ['the demo on this machine', { DEMO: 'true' }, []],
    ['open to the network without production', { HOST: '0.0.0.0' }, ['NODE_ENV', 'PUBLIC_URL']],
    ['production over plain http', { ...sound, PUBLIC_URL: 'http://hitl.example.com' }, ['PUBLIC_URL']],
    ['production without PUBLIC_URL', { ...sound, PUBLIC_URL: '' }, ['PUBLIC_URL']],
    ['behind a proxy that is not named', { ...sound, TRUSTED_PROXIES: '' }, ['TRUSTED_PROXIES']],
    [
      'behind a proxy on this machine, not named',
      { ...sound, HOST: '127.0.0.1', TRUSTED_PROXIES: '' },
      ['TRUSTED_PROXIES'],
    ],
    ['a database elsewhere without TLS', database('db.internal/hitl'), ['DATABASE_URL']],
    ['the same, said aloud', database('db.internal/hitl?sslmode=disable'), ['DATABASE_URL']],
    ['its host given as a parameter', database('localhost/hitl?host=db.internal'), ['DATABASE_URL']],
    ['encrypted to whoever answers', database('db.internal/hitl?sslmode=no-verify'), ['DATABASE_URL']],
    [
      'the same, as libpq means require',
      database('db.internal/hitl?sslmode=require&uselibpqcompat=true'),
      ['DATABASE_URL'],
    ],
    ['encrypted and verified, as the driver means require', database('db.internal/hitl?sslmode=require'), []],
    ['verified by a CA of its own', { ...database('db.internal/hitl'), DATABASE_CA: '/ca.pem' }, []],
    ['its own TLS off, against the CA', { ...database('db.internal/hitl?ssl=0'), DATABASE_CA: '/ca.pem' }, []],
    ['a database on this machine', database('127.0.0.1/hitl'), []],
    ['a database on this machine, by name', database('localhost/hitl'), []],
    ['a database on this machine, IPv6', database('[::1]/hitl'), []],
    ['a database behind a socket', database('localhost/hitl?host=/run/postgresql'), []],
    ['open registration in production', { ...sound, REGISTRATION: 'open' }, ['REGISTRATION']],
    ['open registration at home', { REGISTRATION: 'open' }, []],
    ['any web page may call', { ...sound, CORS_ORIGINS: '*' }, ['CORS_ORIGINS']],
    ['callbacks may go everywhere', { ...sound, CALLBACK_ALLOW: '0.0.0.0/0' }, ['CALLBACK_ALLOW']],
    ['callbacks may go to the metadata service', { ...sound, CALLBACK_ALLOW: '169.254.0.0/16' }, ['CALLBACK_ALLOW']],
    ['callbacks may go into a private network', { ...sound, CALLBACK_ALLOW: '10.1.0.0/16,agent.internal' }, []],
    [
      'the first admin stays in the environment',
      { ...sound, ADMIN_EMAIL: 'a@example.com', ADMIN_PASSWORD: 'correct horse' },
      ['ADMIN_PASSWORD'],
    ],
    ['the key lies beside the data', { ...sound, SECRET_KEY: '', DATABASE_URL: '' }, ['SECRET_KEY']],
  ] as const) {
    test(`${what}: ${settings.join(', ') || 'nothing'}`, () => assert.deepEqual(warned(environment), [...settings]))
  }

  test('a warning says what to do and repeats no secret', () => {
    const all = { HOST: '0.0.0.0', DATABASE_URL: 'postgres://hitl:s3cret@db/hitl', CORS_ORIGINS: '*', SECRET_KEY: key }
    const messages = warningsFor(loadConfig(all, '/nonexistent/.env')).map(({ message }) => message)
    assert.equal(messages.length, 4)
    assert.doesNotMatch(messages.join(), new RegExp(`s3cret|${key}`))
  })
})
