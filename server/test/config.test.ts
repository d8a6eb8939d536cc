import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, describe, test } from 'node:test'
import { parseEnv } from 'node:util'
import { type Config, ConfigError, loadConfig, sections, settings } from '../src/config.ts'

const folder = mkdtempSync(join(tmpdir(), 'hitl-config-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const noFile = join(folder, 'no-such-file')
const file = (name: string, content: string): string => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}
const load = (environment: NodeJS.ProcessEnv = {}, envFile = noFile): Config => loadConfig(environment, envFile)
const mistakesOf = (environment: NodeJS.ProcessEnv, envFile = noFile): readonly string[] => {
  try {
    load(environment, envFile)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    for (const mistake of error.mistakes) assert.ok(error.message.includes(mistake))
    return error.mistakes
  }
  return []
}
const goodKey = 'k3Jf9sLq2Vx8Zr1Tn6Wb4Yc7Hd0Mg5Pp'

describe('without any variable', () => {
  test('the documented defaults hold', () => {
    const config = load()
    const expected = {
      NODE_ENV: 'development',
      PORT: 8_000,
      HOST: '127.0.0.1',
      PUBLIC_URL: null,
      ROLE: 'all',
      WORKERS: 1,
      DATABASE_URL: null,
      DATABASE_POOL: 10,
      SECRET_KEY: null,
      ACCESS_TOKEN_EXPIRE_MINUTES: 30,
      REGISTRATION: 'invite',
      ADMIN_EMAIL: null,
      ADMIN_PASSWORD: null,
      CORS_ORIGINS: [],
      TRUSTED_PROXIES: [],
      BODY_LIMIT_BYTES: 1_048_576,
      CALLBACK_ALLOW: [],
      CALLBACK_RETRY_SECONDS: [2, 4, 8],
      CALLBACK_TIMEOUT_SECONDS: 15,
      DEMO: false,
      LOG_LEVEL: 'info',
      publicUrl: 'http://localhost:8000',
      production: false,
      DATA_DIR: resolve('./data'),
    }
    for (const [name, value] of Object.entries(expected)) assert.deepEqual(config[name as keyof Config], value, name)
  })

  test('the result cannot be changed', () => {
    assert.throws(() => Object.assign(load(), { PORT: 1 }), TypeError)
  })
})

test('an empty variable counts as unset, and blanks around a value are ignored', () => {
  const config = load({ PORT: '', SECRET_KEY: '  ', HOST: ' 0.0.0.0 ', LOG_LEVEL: 'debug\n' })
  assert.equal(config.PORT, 8_000)
  assert.equal(config.SECRET_KEY, null)
  assert.equal(config.HOST, '0.0.0.0')
  assert.equal(config.LOG_LEVEL, 'debug')
})

test('all mistakes are reported at once, with the name and what would be right', () => {
  const mistakes = mistakesOf({
    PORT: '99999',
    WORKERS: 'two',
    ROLE: 'everything',
    DEMO: 'yes',
    PUBLIC_URL: 'ftp://x',
    DATABASE_URL: 'mysql://x',
    TRUSTED_PROXIES: '10.0.0.0/8,nonsense',
    CALLBACK_RETRY_SECONDS: '2,soon',
    CALLBACK_ALLOW: '10.0.0.0/99',
    SECRET_KEY: 'short',
    ADMIN_EMAIL: 'admin@example.com',
    SMTP_URL: 'smtps://mail.example.com',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20a%0Ab',
    OTEL_TRACES_SAMPLER: 'sometimes',
    OTEL_TRACES_SAMPLER_ARG: '10%',
  })
  const expected = [
    /^PORT must be a whole number from 0 to 65535$/,
    /^WORKERS must be a whole number/,
    /^ROLE must be one of all, api, worker$/,
    /^DEMO must be true or false$/,
    /^PUBLIC_URL must be an http/,
    /^DATABASE_URL must look like postgres:/,
    /^TRUSTED_PROXIES has "nonsense"/,
    /^CALLBACK_RETRY_SECONDS must be/,
    /^CALLBACK_ALLOW /,
    /^SECRET_KEY must have at least 32 characters/,
    /^ADMIN_EMAIL and ADMIN_PASSWORD belong together/,
    /^MAIL_FROM is needed with SMTP_URL/,
    /^OTEL_EXPORTER_OTLP_ENDPOINT must be an http/,
    /^OTEL_EXPORTER_OTLP_HEADERS has a value with a character that no header can have/,
    /^OTEL_TRACES_SAMPLER must be one of/,
    /^OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1/,
  ]
  for (const pattern of expected)
    assert.ok(
      mistakes.some((mistake) => pattern.test(mistake)),
      `${pattern}\n${mistakes.join('\n')}`,
    )
  assert.equal(mistakes.length, expected.length, mistakes.join('\n'))
})

test('no mistake repeats a secret', () => {
  const environment = {
    SECRET_KEY: 'hunter2',
    ADMIN_EMAIL: 'nobody',
    ADMIN_PASSWORD: 'pw-tiny',
    DATABASE_URL: 'mysql://u:s3cret@h/d',
  }
  assert.doesNotMatch(mistakesOf(environment).join('\n'), /hunter2|pw-tiny|s3cret/)
})

describe('whole numbers', () => {
  for (const value of ['-1', '1.5', '1e3', '0x10', '١', '1_000', 'NaN', '65536', '']) {
    test(`PORT=${JSON.stringify(value)}${value === '' ? ' is the default' : ' is refused'}`, () => {
      assert.equal(mistakesOf({ PORT: value }).length, value === '' ? 0 : 1)
    })
  }
  test('the limits themselves are inside', () => {
    assert.equal(load({ PORT: '0' }).PORT, 0)
    assert.equal(load({ PORT: '65535' }).PORT, 65_535)
  })
})

describe('NAME_FILE', () => {
  test('gives the value of a setting, without the line end', () => {
    const environment = {
      SECRET_KEY_FILE: file('key', `${goodKey}\n`),
      ADMIN_EMAIL: 'boss@example.com',
      ADMIN_PASSWORD_FILE: file('password', 'correct horse\r\n'),
      DATABASE_URL_FILE: file('url', 'postgres://u:p@db/hitl'),
      PORT_FILE: file('port', '9000'),
    }
    const config = load(environment)
    assert.equal(config.SECRET_KEY, goodKey)
    assert.equal(config.ADMIN_PASSWORD, 'correct horse')
    assert.equal(config.DATABASE_URL, 'postgres://u:p@db/hitl')
    assert.equal(config.PORT, 9_000)
  })

  test('a missing file is a mistake, and so is a setting given twice', () => {
    assert.match(
      mistakesOf({ SECRET_KEY_FILE: noFile })[0] ?? '',
      /^SECRET_KEY cannot be read from SECRET_KEY_FILE: ENOENT/,
    )
    const twice = mistakesOf({ SECRET_KEY: goodKey, SECRET_KEY_FILE: file('twice', goodKey) })
    assert.match(twice[0] ?? '', /^SECRET_KEY is set twice/)
    assert.ok(!twice.join().includes(goodKey))
  })
})

describe('.env', () => {
  test('is read, but the environment takes precedence', () => {
    const env = file(
      '.env',
      `# comment\nPORT=9100\nLOG_LEVEL="warn"\nCORS_ORIGINS='https://a.example, https://b.example'\nexport HOST=::1\n`,
    )
    const config = load({ LOG_LEVEL: 'error' }, env)
    assert.equal(config.PORT, 9_100)
    assert.equal(config.LOG_LEVEL, 'error')
    assert.equal(config.HOST, '::1')
    assert.deepEqual(config.CORS_ORIGINS, ['https://a.example', 'https://b.example'])
  })

  test('a byte-order mark, CRLF, blanks around the sign, remarks and values of several lines are fine', () => {
    const text =
      '\u{feff}PORT=9100\r\n\r\n# remark\r\nHOST = ::1\r\nSSH_KEY="a: b\r\nc: d\r\n"\r\nNOTE=it\'s fine # really\r\nROLE=api\r\n'
    const config = load({}, file('.env.crlf', text))
    assert.equal(config.PORT, 9_100)
    assert.equal(config.HOST, '::1')
    assert.equal(config.ROLE, 'api')
  })

  test('UTF-16 is a mistake that says what to do', () => {
    const path = join(folder, '.env.utf16')
    writeFileSync(path, Buffer.from('\u{feff}PORT=9100\n', 'utf16le'))
    assert.deepEqual(mistakesOf({}, path), [`${path} is not UTF-8 text: save it as UTF-8`])
  })

  for (const [row, meant] of [
    ['PORT: 1', 'PORT'],
    ['- PORT=1', 'PORT'],
    ['set PORT=1', 'NAME'],
    ['PROT 1', 'PORT'],
    ['DATABASE_URL', 'DATABASE_URL'],
    ['=9000', 'NAME'],
    ['s3cret', 'NAME'],
  ] as const) {
    test(`a line that is no assignment is a mistake: ${row}`, () => {
      const path = file('.env.line', `ROLE=api\n${row}\nWORKERS=2\n`)
      assert.deepEqual(mistakesOf({}, path), [`${path}, line 2: not an assignment. Write ${meant}=value`])
    })
  }

  test('its mistakes are reported like all others', () => {
    assert.equal(mistakesOf({ WORKERS: 'x' }, file('.env.bad', 'PORT=high\n')).length, 2)
  })

  test('one that exists but cannot be read is a mistake, not an empty file', () => {
    const path = join(folder, 'folder.env')
    mkdirSync(path)
    assert.match(mistakesOf({}, path)[0] ?? '', /folder\.env cannot be read: EISDIR/)
    chmodSync(path, 0o700)
  })
})

describe('production', () => {
  const production = { NODE_ENV: 'production' }
  const external = { ...production, DATABASE_URL: 'postgres://u:p@db/hitl?sslmode=verify-full' }

  test('starts without settings on the embedded database: the key is generated', () => {
    const config = load(production)
    assert.equal(config.production, true)
    assert.equal(config.SECRET_KEY, null)
  })

  test('needs a SECRET_KEY beside an external database', () => {
    assert.match(mistakesOf(external)[0] ?? '', /^SECRET_KEY is required in production/)
    assert.deepEqual(mistakesOf({ ...external, SECRET_KEY: goodKey }), [])
  })

  for (const [what, host] of [
    ['without TLS', 'db/hitl'],
    ['with TLS switched off', 'db/hitl?sslmode=disable'],
    ['with TLS switched off in another way', 'db/hitl?ssl=0'],
    ['whose host is a parameter', 'localhost/hitl?host=db'],
    ['with TLS to whoever answers', 'db/hitl?sslmode=no-verify'],
    ['with TLS to whoever answers, as libpq means it', 'db/hitl?sslmode=require&uselibpqcompat=true'],
    ['by its address', '10.0.0.5/hitl'],
  ] as const) {
    test(`refuses a database on another machine ${what}, unless that is explicitly allowed`, () => {
      const environment = { ...external, SECRET_KEY: goodKey, DATABASE_URL: `postgres://u:s3cret@${host}` }
      const [mistake = '', ...others] = mistakesOf(environment)
      assert.match(mistake, /^DATABASE_URL leads to another machine with.*sslmode=verify-full.*DATABASE_INSECURE=true/)
      assert.equal(others.length, 0)
      assert.doesNotMatch(mistake, /s3cret/)
      assert.deepEqual(mistakesOf({ ...environment, DATABASE_INSECURE: 'true' }), [])
      assert.deepEqual(mistakesOf({ ...environment, DATABASE_CA: '/ca.pem' }), [], 'which is verified, come what may')
      assert.deepEqual(mistakesOf({ DATABASE_URL: environment.DATABASE_URL }), [], 'at home it may be')
    })
  }

  for (const host of ['127.0.0.1/hitl', '[::1]/hitl', 'localhost/hitl', 'x/hitl?host=/run/postgresql', '%2frun/hitl']) {
    test(`accepts a database on this machine without TLS: ${host}`, () => {
      assert.deepEqual(mistakesOf({ ...external, SECRET_KEY: goodKey, DATABASE_URL: `postgres://u:p@${host}` }), [])
    })
  }

  for (const key of [
    'change-me-change-me-change-me-change-me',
    'your-secret-key-change-in-production-please',
    'SECRET_KEY_OF_AT_LEAST_32_CHARACTERS',
    'supersecretsupersecretsupersecret',
    'example-example-example-example-example',
    `x${'a'.repeat(40)}`,
  ]) {
    test(`refuses a published key: ${key.slice(0, 30)}`, () => {
      assert.match(mistakesOf({ ...production, SECRET_KEY: key })[0] ?? '', /^SECRET_KEY is a published sample value/)
      assert.deepEqual(mistakesOf({ SECRET_KEY: key }), [], 'elsewhere it is good enough')
    })
  }

  test('refuses a short key, everywhere', () => {
    for (const environment of [production, {}]) {
      assert.match(mistakesOf({ ...environment, SECRET_KEY: goodKey.slice(0, 31) })[0] ?? '', /at least 32/)
    }
  })

  test('refuses DEMO and the sample password', () => {
    assert.match(mistakesOf({ ...production, DEMO: 'true' })[0] ?? '', /^DEMO must be false in production/)
    const sample = { ADMIN_EMAIL: 'a@example.com', ADMIN_PASSWORD: 'password123' }
    assert.match(mistakesOf({ ...production, ...sample })[0] ?? '', /^ADMIN_PASSWORD is the published sample password/)
    assert.deepEqual(mistakesOf(sample), [])
  })
})

describe('rules between settings', () => {
  for (const [pattern, environment] of [
    [/belong together/, { ADMIN_PASSWORD: 'correct horse' }],
    [/must be an email address/, { ADMIN_EMAIL: 'boss', ADMIN_PASSWORD: 'correct horse' }],
    [/8 to 72 bytes/, { ADMIN_EMAIL: 'a@example.com', ADMIN_PASSWORD: 'short' }],
    [/8 to 72 bytes/, { ADMIN_EMAIL: 'a@example.com', ADMIN_PASSWORD: `${'😀'.repeat(18)}x` }],
    [/^TRUSTED_PROXIES is every IPv4 address/, { TRUSTED_PROXIES: '0.0.0.0/1, 128.0.0.0/1' }],
    [/^DATABASE_CA is for an external database/, { DATABASE_CA: '/ca.pem' }],
  ] as const) {
    test(`${pattern}`, () => {
      const mistakes = mistakesOf(environment)
      assert.equal(mistakes.length, 1, mistakes.join())
      assert.match(mistakes[0] ?? '', pattern)
    })
  }

  test('publicUrl: as given without the slash, else from HOST and PORT', () => {
    assert.equal(load({ PUBLIC_URL: 'https://hitl.example.com/' }).publicUrl, 'https://hitl.example.com')
    assert.equal(load({ HOST: '0.0.0.0', PORT: '80' }).publicUrl, 'http://localhost:80')
    assert.equal(load({ HOST: 'hitl.internal' }).publicUrl, 'http://hitl.internal:8000')
  })

  test('the demo may call back to this machine; otherwise that must be allowed', () => {
    assert.ok(load({ DEMO: 'true' }).CALLBACK_ALLOW.includes('127.0.0.0/8'))
    assert.deepEqual(load().CALLBACK_ALLOW, [])
  })
})

describe('.env.example', () => {
  const text = readFileSync(join(import.meta.dirname, '../../.env.example'), 'utf8')

  test('has a part for each section, with an entry for each setting in order, each below its description', () => {
    const parts = Object.entries(sections).map(([title, some]) => {
      const entries = Object.entries(some).map(
        ([name, setting]) => `# ${setting.about}\n# ${name}=${setting.example}\n`,
      )
      return [`# --- ${title} ---\n`, ...entries].join('\n')
    })
    const [, ...blocks] = text.split(/\n(?=# ---)/)
    assert.deepEqual(
      blocks.map((block) => `${block.trim()}\n`),
      parts,
    )
  })

  test('no setting is left out of the sections', () => {
    assert.deepEqual(Object.values(sections).flatMap(Object.keys), Object.keys(settings))
  })

  test('changes nothing when it is copied unchanged', () => {
    assert.deepEqual(parseEnv(text), {})
    assert.deepEqual(load({}, file('.env.copy', text)), load())
  })

  test('every example is read by its setting', () => {
    const examples = parseEnv(text.replaceAll(/^# ([A-Z][A-Z0-9_]+=)/gm, '$1'))
    assert.deepEqual(Object.keys(examples).sort(), Object.keys(settings).sort())
    for (const [name, setting] of Object.entries(settings)) {
      const example = examples[name]
      assert.equal(example, setting.example, name)
      assert.doesNotThrow(() => setting.read(setting.example), name)
    }
  })

  test('all examples except placeholders for secrets together make a valid configuration', () => {
    const examples = Object.entries(settings).filter(([, setting]) => !('secret' in setting))
    const environment = Object.fromEntries(examples.map(([name, setting]) => [name, setting.example]))
    const config = load({
      ...environment,
      DATABASE_URL: settings.DATABASE_URL.example,
      ADMIN_PASSWORD: 'correct horse',
      S3_SECRET_ACCESS_KEY: settings.S3_SECRET_ACCESS_KEY.example,
    })
    assert.equal(config.PUBLIC_URL, 'https://hitl.example.com')
  })
})
