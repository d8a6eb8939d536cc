import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { settings } from '../../src/config.ts'
import { externalDatabase } from '../service-process.ts'
import { runCommand } from './command-process.ts'

const cwd = await mkdtemp(join(tmpdir(), 'hitl config '))
after(() => rm(cwd, { recursive: true, force: true }))

const key = 'k3Jf9sLq2Vx8Zr1Tn6Wb4Yc7Hd0Mg5Pp'

const check = (environment: Readonly<Record<string, string>>, ...args: readonly string[]) =>
  runCommand(['config', 'check', ...args], { cwd, environment })

async function checkJson(environment: Readonly<Record<string, string>>, ...args: readonly string[]) {
  const { code, stdout, stderr } = await check(environment, '--json', ...args)
  assert.equal(stderr, '')
  return { code, report: JSON.parse(stdout) }
}

describe('the settings in effect', () => {
  test('are all shown, with their values and where these come from', async () => {
    await writeFile(join(cwd, '.env'), 'WORKERS=3\nPORT=9000\nROLE=\n', { mode: 0o600 })
    const hostFile = join(cwd, 'host')
    await writeFile(hostFile, 'localhost\n')
    const environment = { PORT: '9001', HOST_FILE: hostFile, RATE_LIMIT_KEY: 'off', CORS_ORIGINS: 'https://a.example' }
    const { code, report } = await checkJson(environment)
    await rm(join(cwd, '.env'))
    assert.equal(code, 0)
    assert.deepEqual(Object.keys(report.settings), Object.keys(settings))
    assert.deepEqual(report.settings.PORT, { value: '9001', source: 'environment' })
    assert.deepEqual(report.settings.WORKERS, { value: '3', source: '.env' })
    assert.deepEqual(report.settings.ROLE, { value: 'all', source: 'default' })
    assert.deepEqual(report.settings.HOST, { value: 'localhost', source: 'HOST_FILE (environment)' })
    assert.deepEqual(report.settings.RATE_LIMIT_KEY, { value: 'off', source: 'environment' })
    assert.deepEqual(report.settings.RATE_LIMIT_PERSON, {
      value: settings.RATE_LIMIT_PERSON.example,
      source: 'default',
    })
    assert.deepEqual(report.settings.CORS_ORIGINS, { value: 'https://a.example', source: 'environment' })
    assert.deepEqual(report.settings.PUBLIC_URL, { value: '(not set)', source: 'default' })
    for (const { value } of Object.values(report.settings) as { value: unknown }[]) assert.equal(typeof value, 'string')
  })

  test('have their secrets masked, in text and JSON; the rest of a database URL is shown', async () => {
    const secrets = Object.entries(settings).filter(([, setting]) => 'secret' in setting)
    const values = secrets.map(([name, setting]) => {
      if (name === 'DATABASE_URL') return [name, 'postgres://hitl:s3cret-word@127.0.0.1:1/x?password=0ther-secret']
      if (name === 'SECRET_KEY') return [name, key]
      return [name, setting.example]
    })
    const others = Object.entries(settings).map(([name, setting]) => [name, setting.example])
    const environment = { ...Object.fromEntries(others), ...Object.fromEntries(values) }
    const [text, json] = await Promise.all([check(environment), check(environment, '--json')])
    assert.equal(text.code, 0, `${text.stdout}${text.stderr}`)
    for (const [name, value] of values) assert.ok(!text.stdout.includes(value ?? ''), `${name} in the text`)
    for (const { stdout, stderr } of [text, json]) assert.doesNotMatch(`${stdout}${stderr}`, /s3cret-word|0ther-secret/)
    const { settings: shown } = JSON.parse(json.stdout)
    assert.equal(shown.DATABASE_URL.value, 'postgres://hitl:***@127.0.0.1:1/x?password=***')
    assert.equal(shown.SECRET_KEY.value, '(set, not shown)')
  })
})

describe('mistakes and warnings', () => {
  test('all mistakes are reported at once, each with its source; exit 78', async () => {
    await writeFile(join(cwd, '.env'), 'PORT=99999\n')
    const { code, stdout } = await check({ ROLE: 'boss', WORKERS: 'many', SECRET_KEY: 'short', DEMO: 'yes' })
    await rm(join(cwd, '.env'))
    assert.equal(code, 78)
    assert.match(stdout, /^5 mistakes$/m)
    assert.match(stdout, /^- PORT must be .* \(from \.env\)$/m)
    for (const name of ['ROLE', 'WORKERS', 'SECRET_KEY', 'DEMO'])
      assert.match(stdout, new RegExp(`^- ${name} .* \\(from environment\\)$`, 'm'))
    assert.doesNotMatch(stdout, /short/)
  })

  test('names near a setting and lines that set nothing are mistakes with their line and what was meant; exit 78, in serve as in check', async () => {
    const text = 'WORKERS=2\nPROT=9000\nPOSTGRES_PASSWORD=x\nLOGLEVEL=warn\nHOST: hunter2\nDATABASE_PORT=1\nhunter2\n'
    await writeFile(join(cwd, '.env'), text)
    const environment = {
      DATABSE_URL: 'hunter2',
      SECRET_KEYS_FILE: '/x',
      PATHS: '/bin',
      PUBLIC_URI: 'x',
      PUBLIC_URL: '',
    }
    const { code, report } = await checkJson(environment)
    const serving = await runCommand(['serve', '--json'], { cwd, environment })
    await rm(join(cwd, '.env'))
    const expected = [
      '.env, line 5: not an assignment. Write HOST=value',
      '.env, line 7: not an assignment. Write NAME=value',
      '.env, line 2: PROT is not a setting. Did you mean PORT?',
      '.env, line 4: LOGLEVEL is not a setting. Did you mean LOG_LEVEL?',
      'DATABSE_URL (in the environment) is not a setting. Did you mean DATABASE_URL?',
      'SECRET_KEYS_FILE (in the environment) is not a setting. Did you mean SECRET_KEY?',
      'PUBLIC_URI (in the environment) is not a setting. Did you mean PUBLIC_URL?',
    ]
    assert.equal(code, 78)
    assert.deepEqual(report.mistakes, expected)
    assert.equal(serving.code, 78)
    assert.deepEqual(JSON.parse(serving.stderr).error.mistakes, expected)
  })

  test('the name near a setting may stay where that setting is set too', async () => {
    const { code } = await checkJson({ PUBLIC_URI: 'x', PUBLIC_URL: 'https://hitl.example.com' })
    assert.equal(code, 0)
  })

  test('warns of an .env with secrets that others can read, but not of one that only its owner can', async () => {
    const path = join(cwd, '.env')
    await writeFile(path, `SECRET_KEY=${key}\n`)
    await chmod(path, 0o644)
    const open = await checkJson({})
    await chmod(path, 0o600)
    const closed = await checkJson({})
    await rm(path)
    assert.match(open.report.warnings[0]?.message ?? '', /chmod 600 \.env$/)
    assert.deepEqual(closed.report.warnings, [])
  })

  test('weak settings are warnings, exit 0; with --strict they are mistakes, exit 78', async () => {
    const weak = { HOST: '0.0.0.0', NODE_ENV: 'development' }
    const [lenient, strict] = await Promise.all([check(weak), check(weak, '--strict')])
    assert.equal(lenient.code, 0)
    assert.match(lenient.stdout, /^2 warnings$/m)
    assert.match(lenient.stdout, /^- PUBLIC_URL is not https/m)
    assert.match(lenient.stdout, /The service can start with these settings\.$/m)
    assert.equal(strict.code, 78)
    assert.match(strict.stdout, /Correct this, then run the check again\.$/m)
  })
})

describe('--connect', () => {
  test('reports the database and that it is up to date', async (c) => {
    const database = await externalDatabase()
    c.after(() => database.drop())
    const { code, report } = await checkJson(database.environment, '--connect')
    assert.equal(code, 0, JSON.stringify(report))
    assert.match(report.database.version, /^\d+/)
    assert.equal(report.database.user, 'hitl')
    assert.equal(report.database.tls, null)
    assert.equal(report.database.superuser, false)
    assert.deepEqual(report.database.missing_migrations, [])
    assert.ok(Math.abs(report.database.clock_offset_ms) < 1_000)
    const { stdout } = await check(database.environment, '--connect')
    assert.match(stdout, /Connected to PostgreSQL \S+ as "hitl" in "test_\w+", not encrypted\.\n {2}It is up to date\./)
  })

  test('reports the missing migrations and applies none', async (c) => {
    const database = await externalDatabase()
    c.after(() => database.drop())
    await database.sql("delete from schema_migrations where name >= '0006'")
    const { code, report } = await checkJson(database.environment, '--connect')
    assert.equal(code, 0)
    assert.ok(report.database.missing_migrations.length > 0)
    const [rows] = await database.sql("select count(*)::int from schema_migrations where name >= '0006'")
    assert.equal(rows?.count, 0)
  })

  test('a database of a newer version: exit 1, and the version that is needed', async (c) => {
    const database = await externalDatabase()
    c.after(() => database.drop())
    await database.sql("insert into schema_migrations values ('9999_later.sql', 'x')")
    const { code, report } = await checkJson(database.environment, '--connect')
    assert.equal(code, 1)
    assert.match(report.database.error.message, /9999_later\.sql, which this version does not know/)
  })

  test('a refused password: exit 78; no response: exit 69; neither message contains the password', async (c) => {
    const database = await externalDatabase()
    c.after(() => database.drop())
    const url = new URL(database.environment.DATABASE_URL)
    url.searchParams.set('password', 'wr0ng-word')
    const refused = await check({ DATABASE_URL: url.href }, '--connect')
    assert.equal(refused.code, 78, refused.stdout)
    assert.match(refused.stdout, /The database refuses the connection: .*\n.*Check user, password, database and rights/)
    const away = await check({ DATABASE_URL: 'postgres://hitl:wr0ng-word@127.0.0.1:1/hitl' }, '--connect')
    assert.equal(away.code, 69)
    assert.match(away.stdout, /the database does not respond \(connect ECONNREFUSED/)
    for (const { stdout, stderr } of [refused, away]) {
      assert.doesNotMatch(`${stdout}${stderr}`, /wr0ng-word|\bat .*:\d+:\d+/)
    }
  })
})
