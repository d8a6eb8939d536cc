import { test } from 'node:test'
import pg from 'pg'
import { hashSync } from '@node-rs/bcrypt'
import { createApp } from '../../src/app.ts'
import * as people from '../../src/identity/people/store.ts'
import { newId, installationId } from '../../src/platform/ids.ts'
import { inTransaction } from '../../src/platform/db.ts'
import { createEvents } from '../../src/events/service.ts'
import { createLog } from '../../src/platform/log.ts'
import { cloneDatabase, createFakeClock, secretKey, testConfig } from '../harness.ts'
import { createPasswords } from '../../src/identity/people/passwords.ts'
import { signedRank } from './rank-tests.ts'
test('x', async () => {
  const N = 6000
  const database = await cloneDatabase()
  const sql = new pg.Client({ ...database.connection, user: 'postgres' })
  await sql.connect()
  const passwords = createPasswords({ cost: 4 })
  const app = await createApp({ config: testConfig({ ROLE: 'api' }), secretKey, connection: database.connection, log: createLog('silent', false), clock: createFakeClock(), passwords })
  const org = await app.identity.people.ensureOrganization()
  await sql.query(`with account as (insert into accounts (id, email, email_key, password_hash, created_at, updated_at)
       select gen_random_uuid(), 'person-' || lpad(n::text,6,'0') || '@example.com', 'person-' || lpad(n::text,6,'0') || '@example.com', $1, now(), now() from generate_series(0, $3::int*2, 2) n returning id, email)
     insert into users (organization_id, id, account_id, email, email_key, role, created_at, updated_at)
     select $2, gen_random_uuid(), id, email, email, 'reviewer', now(), now() from account`, [hashSync('right password', { cost: 4 }), org, N])
  await sql.query('analyze')
  const events = createEvents([])
  const { attempts } = app.identity
  const db = app.db
  const email = (n: number) => `person-${String(n).padStart(6, '0')}@example.com`
  let place = 0
  const login = async (key: string) => {
    place++
    const network = `11.${place >> 16}.${(place >> 8) & 255}.${place & 255}`
    const at = [performance.now()]
    const attempter = { kind: 'password', subject: key, network } as const
    const { known } = await attempts.look(attempter); at.push(performance.now())
    const account = await people.accountByEmail(db.within({ lookUp: key }), key); at.push(performance.now())
    let hashed = 0
    await passwords.verify('wrong password', account?.passwordHash ?? null, { share: network, known }, (work) => attempts.prove(attempter, async () => { const b = performance.now(); const r = await work(); hashed = performance.now() - b; return r })); at.push(performance.now())
    const accountId = account?.id ?? newId()
    const user = (await people.usersOfAccount(db.within({ accountId }), accountId))[0] ?? null; at.push(performance.now())
    const organizationId = user?.organizationId ?? installationId
    await inTransaction(db, { organizationId }, (tx) => events.append(tx, [{ id: newId(), organizationId, kind: 'sign_in.failed', subjectKind: 'user', subjectId: user?.id ?? accountId, actor: { kind: 'anonymous', id: null }, httpRequestId: 'x', network, before: null, after: { method: 'password' }, erasable: { email: key }, occurredAt: new Date() } as any])); at.push(performance.now())
    return [...at.slice(1).map((t, i) => t - at[i]!), hashed, at.at(-1)! - at[0]!]
  }

  const visit = (n: string) => ({ network: n, httpRequestId: 'x', userAgent: null, browser: false, address: n } as any)
  const place2 = () => { place++; return `12.${place >> 16}.${(place >> 8) & 255}.${place & 255}` }
  const direct = async (key: string) => { const b = performance.now(); await app.identity.signIn.withPassword(key, 'wrong password', visit(place2())).catch(() => {}); return [performance.now() - b] }
  const http = async (key: string) => { const b = performance.now(); const r = await app.http.inject({ method: 'POST', url: '/api/v1/auth/login', payload: { username: key, password: 'wrong password' }, remoteAddress: place2() }); if (r.statusCode !== 401) throw new Error(r.body); return [performance.now() - b] }
  const names = ['direct', 'http', 'account', 'members', 'report', 'all']
  const k: number[][] = names.map(() => []), u: number[][] = names.map(() => [])
  for (let n = 0; n < N; n++) {
    const t: any = {}
    for (const known of Math.random() < 0.5 ? [true, false] : [false, true]) {
      const e = email(2 * n + (known ? 0 : 1))
      const fs = [async () => (await direct(e))[0]!, async () => (await http(e))[0]!]
      const which = n % 3
      if (which < 2) { t[String(known)] = []; t[String(known)][which] = await fs[which]!() }
      else { const r = await login(e); t[String(known)] = [undefined, undefined, r[1], r[3], r[4], r[6]] }
    }
    if (n > 300) names.forEach((_, i) => { if (t.true[i] !== undefined) { k[i]!.push(t.true[i]); u[i]!.push(t.false[i]) } })
  }
  const med = (v: number[]) => [...v].sort((a, b) => a - b)[v.length >> 1]! * 1000
  names.forEach((name, i) => { const d = k[i]!.map((x, j) => x - u[i]![j]!); process.stderr.write(`${name} z=${signedRank(d).toFixed(2)} known ${med(k[i]!).toFixed(0)} unknown ${med(u[i]!).toFixed(0)} diff ${med(d).toFixed(1)} us\n`) })
  await sql.end(); await app.stop(); await database.drop()
})
