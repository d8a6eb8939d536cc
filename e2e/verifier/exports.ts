import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sampleAdmin, samplePassword } from '../../server/src/seed.ts'
import { runCommand } from '../../server/test/commands/command-process.ts'
import { sealAll } from '../../server/test/events/chain.ts'
import { eventually } from '../../server/test/eventually.ts'
import { createFakeClock, secretKey, startTestApp } from '../../server/test/harness.ts'
import { freePort } from '../../server/test/receivers.ts'
import {
  databaseEnvironment,
  login,
  request,
  type ServiceProcess,
  startService,
  untilReady,
} from '../../server/test/service-process.ts'

const yearMs = 400 * 86_400_000
const installation = '00000000-0000-0000-0000-000000000000'

export interface Exports {
  /** Of the sample organization, in the order in which they were taken. */
  readonly before: string
  readonly erased: string
  readonly later: string
  readonly nothingSince: string
  readonly rotated: string
  readonly purged: string
  readonly other: string
  readonly installation: string
  /** The key set before and after the audit's key leaked and was replaced. */
  readonly keysBefore: string
  readonly keys: string
  readonly heads: string
}

/**
 * A process of the service takes over an installation that is more than a year old, makes events of two organizations, erases,
 * replaces a leaked key and purges. Afterwards only the app in this process is left, whose database is there to be changed.
 */
export async function makeExports() {
  const t = await startTestApp({ clock: createFakeClock(new Date(Date.now() - yearMs)) })
  const folder = await mkdtemp(join(tmpdir(), 'hitl verifier '))
  const headsFile = join(folder, 'heads.jsonl')
  let service: ServiceProcess | undefined
  const stop = async () => {
    await service?.end('SIGTERM')
    await t.stop()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    for (let wave = 0; wave < 3; wave += 1) {
      await t.createRequest({ title: `Wave ${wave}` })
      await sealAll(t)
    }
    t.clock.advance(yearMs)

    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const environment = {
      ...databaseEnvironment(t.connection),
      DATA_DIR: folder,
      SECRET_KEY: secretKey,
      AUDIT_HEADS_FILE: headsFile,
      LOG_LEVEL: 'warn',
    }
    const start = async () => {
      service = startService({ cwd: folder, environment: { ...environment, PORT: String(port) } })
      await untilReady(service, url)
    }
    await start()

    const call = async (method: string, path: string, as: string, body?: unknown) => {
      const reply = await request(url, method, path, { as, body })
      assert.ok(reply.status < 300, `${method} ${path}: ${JSON.stringify(reply.body)}`)
      return reply.body
    }
    const allSealed = () =>
      eventually('everything is sealed and written outside', async () => {
        const [row] = await t.sql(`select (select count(*) from events) as events,
          (select sum(last_position - first_position + 1) from audit_seals s where exists (select from events e
             where e.organization_id = s.organization_id and (e.era, e.xact, e.id) = (s.last_era, s.last_xact, s.last_id))) as sealed,
          (select count(*) from audit_seals where published_at is null) as unpublished`)
        return Number(row?.events) === Number(row?.sealed) && Number(row?.unpublished) === 0
      })
    const exported = async (as: string, query = ''): Promise<string> => {
      await allSealed()
      return call('GET', `/api/v1/events/export${query}`, as)
    }
    const keySet = async () => JSON.stringify((await request(url, 'GET', '/.well-known/jwks.json')).body)

    // A session is in one organization, and the next one of the same person begins in the last that they entered.
    const admin = await login(url, sampleAdmin, samplePassword)
    const founder = await login(url, sampleAdmin, samplePassword)
    const { id: otherId } = await call('POST', '/api/v1/organizations', founder, { name: 'Another' })
    const switched = await call('POST', '/api/v1/auth/switch', founder, { organization_id: otherId })
    const otherAdmin: string = switched.access_token
    // The one of the sample data has expired.
    const { key } = await call('POST', '/api/v1/api-keys', admin, { name: 'a later agent' })
    const ask = (title: string) =>
      call('POST', '/api/v1/requests', key, { title, description: 'Ä "quoted" — 日本', context: { n: 1.5 } })
    const respond = (id: string, decision: string) =>
      call('POST', `/api/v1/requests/${id}/respond`, admin, { decision, comment: `I ${decision} — “so”` })

    // Events of many kinds, in several batches.
    const [approved, rejected, cancelled] = [await ask('May I?'), await ask('And this?'), await ask('Or that?')]
    await respond(approved.id, 'approve')
    await allSealed()
    await respond(rejected.id, 'reject')
    await call('POST', `/api/v1/requests/${cancelled.id}/cancel`, key)
    await call('POST', `/api/v1/requests/${approved.id}/redeem`, key, {})
    await allSealed()
    await call('POST', '/api/v1/teams', admin, { name: 'Operations' })
    await call('POST', '/api/v1/invitations', admin, { email: 'ada@example.com', role: 'reviewer' })
    await request(url, 'POST', '/api/v1/auth/login', { body: { username: sampleAdmin, password: 'wrong password' } })
    await request(url, 'GET', '/api/v1/requests', { as: 'hitl_no_such_key' })
    for (const name of ['One', 'Two', 'Three']) {
      await call('POST', '/api/v1/teams', otherAdmin, { name })
      await allSealed()
    }
    const before = await exported(admin)
    const keysBefore = await keySet()

    await call('POST', '/api/v1/events/erasures', admin, { request_id: rejected.id, reason: 'case 17' })
    const erased = await exported(admin)

    const run = async (...args: readonly string[]) => {
      const ended = await runCommand(args, { environment, cwd: folder })
      assert.equal(ended.code, 0, ended.stderr)
      return ended.stdout
    }
    const { kid } = JSON.parse(await run('keys', 'rotate', '--leaked', 'audit_head', '--json')).signing_keys[0]
    await eventually('the new key seals', async () => {
      await ask('After the rotation?')
      await allSealed()
      const [last] = await t.sql(
        'select head from audit_seals where organization_id = $1 order by number desc limit 1',
        [t.organizationId],
      )
      return headerOf(String(last?.head)).kid === kid
    })
    const rotated = await exported(admin)
    const lastSeal = sealsOf(rotated)
    const later = await exported(admin, `?after=${lastSeal - 3}`)
    await allSealed()
    const [newest] = await t.sql('select max(number) as number from audit_seals where organization_id = $1', [
      t.organizationId,
    ])
    const nothingSince = await call('GET', `/api/v1/events/export?after=${newest?.number}`, admin)

    await call('PATCH', '/api/v1/events/policy', admin, { retention_days: 184, reason: 'case 18' })
    // A process purges when it starts.
    await service?.end('SIGTERM')
    await start()
    await eventually('the past is purged', async () => {
      return (await t.sql(`select from events where kind = 'audit.purged'`)).length > 0
    })
    const purged = await exported(admin)
    const other = await exported(otherAdmin)
    const ofInstallation = await run('audit', 'export', '--organization', installation)
    await allSealed()
    const exports: Exports = {
      before,
      erased,
      later,
      nothingSince,
      rotated,
      purged,
      other,
      installation: ofInstallation,
      keysBefore,
      keys: await keySet(),
      heads: await readFile(headsFile, 'utf8'),
    }
    await service?.end('SIGTERM')
    service = undefined
    t.clock.advance(Date.now() - t.clock.now().getTime())
    return { t, exports, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

const headerOf = (jws: string) => JSON.parse(Buffer.from(jws.split('.')[0] ?? '', 'base64url').toString())

/** The number of the last seal in an export. */
function sealsOf(text: string): number {
  const { end } = JSON.parse(text.trimEnd().split('\n').at(-1) ?? '')
  return JSON.parse(Buffer.from(end.split('.')[1], 'base64url').toString()).last_seal
}
