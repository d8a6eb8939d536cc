import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { type Attempter, type Attempts, createAttempts } from '../../../src/identity/throttle/attempts.ts'
import { applicationRole } from '../../../src/platform/database/application-role.ts'
import { type Db, openDb } from '../../../src/platform/database/db.ts'
import { cloneDatabase, createFakeClock, secretKey } from '../../harness.ts'

/** Two processes: separate pools on one database. */
let pools: readonly Db[]
let processes: readonly Attempts[]
let owner: pg.Client
let drop: () => Promise<void>
const clock = createFakeClock()

before(async () => {
  const database = await cloneDatabase()
  drop = database.drop
  pools = [1, 2].map(() =>
    openDb({ connection: database.connection, role: applicationRole, poolSize: 3, onError: () => {} }),
  )
  processes = pools.map((db) => createAttempts(db, clock, secretKey))
  owner = new pg.Client({ ...database.connection, user: 'postgres' })
  await owner.connect()
})
after(async () => {
  await owner.end()
  await Promise.all(pools.map((db) => db.close()))
  await drop()
})

const rows = async () => (await owner.query('select * from attempt_tallies')).rows
const clear = () => owner.query('delete from attempt_tallies')
const who = (subject: string | null, network: string | null, kind: Attempter['kind'] = 'password'): Attempter => ({
  kind,
  subject,
  network,
})
const first = (): Attempts => processes[0] as Attempts

/** Makes all attempts at once, alternating between both processes; returns how many were admitted. */
async function storm(calls: readonly Attempter[]): Promise<number> {
  const results = await Promise.allSettled(
    calls.map((by, index) => (processes[index % processes.length] as Attempts).before(by)),
  )
  for (const result of results) {
    if (result.status === 'rejected') assert.equal(result.reason.code, 'auth.throttled', String(result.reason))
  }
  return results.filter(({ status }) => status === 'fulfilled').length
}

describe('200 attempts at once over two processes', () => {
  test('at one account from one network: only the eleven that the rules admit', async () => {
    await clear()
    assert.equal(await storm(Array.from({ length: 200 }, () => who('a@example.com', '192.0.2.1/32'))), 11)
    assert.deepEqual(
      (await rows()).map(({ failures }) => failures),
      [11, 11, 11],
    )
  })

  test('at 200 accounts from one network: as many as the network is allowed', async () => {
    await clear()
    const calls = Array.from({ length: 200 }, (_, index) => who(`a${index}@example.com`, '192.0.2.1/32'))
    assert.equal(await storm(calls), 31)
    assert.equal(Math.max(...(await rows()).map(({ failures }) => failures)), 31)
  })

  test('at one account from 200 networks: as many as an account allows to strangers', async () => {
    await clear()
    const calls = Array.from({ length: 200 }, (_, index) => who('a@example.com', `192.0.2.${index}/32`))
    assert.equal(await storm(calls), 21)
  })

  test('at 200 accounts from 200 networks: every one is counted', async () => {
    await clear()
    const calls = Array.from({ length: 200 }, (_, index) => who(`a${index}@example.com`, `192.0.2.${index}/32`))
    assert.equal(await storm(calls), 200)
    const tallies = await rows()
    assert.equal(tallies.length, 600)
    assert.equal(
      tallies.reduce((sum, { failures }) => sum + failures, 0),
      600,
    )
  })

  test('one after the other, alternating between processes, each when allowed: 200 wrong ones count as 200', async () => {
    await clear()
    for (let guess = 0; guess < 200; guess += 1) {
      clock.advance(60_000)
      const attempts = processes[guess % 2] as Attempts
      assert.equal(await attempts.prove(who('a@example.com', '192.0.2.1/32'), async () => false), false)
    }
    assert.deepEqual(
      (await rows()).map(({ failures }) => failures),
      [200, 200, 200],
    )
  })

  test('what succeeds on one process is known to the other at once', async () => {
    await clear()
    const home = who('owner@example.com', '198.51.100.1/32')
    await (processes[0] as Attempts).prove(home, async () => true)
    await storm(Array.from({ length: 50 }, (_, index) => who('owner@example.com', `192.0.2.${index}/32`)))
    assert.deepEqual(await (processes[1] as Attempts).look(home), { known: true })
    await assert.rejects((processes[1] as Attempts).look(who('owner@example.com', '203.0.113.1/32')), {
      status: 429,
      code: 'auth.throttled',
    })
  })
})

describe('60 networks of one customer’s IPv6', () => {
  const guesses = (inGroup: (index: string) => string, account: (index: number) => string) =>
    Array.from({ length: 60 }, (_, index) =>
      who(account(index), `2001:db8:1:${inGroup(index.toString(16).padStart(2, '0'))}::/64`),
    )
  const each = (index: number) => `${index}@example.com`

  for (const [size, inGroup] of [
    ['/48', (index: string) => `${index}00`],
    ['/56', (index: string) => `77${index}`],
  ] as const) {
    test(`of one ${size}: as many accounts as one network is allowed; a neighbour is not held up`, async () => {
      await clear()
      assert.equal(await storm(guesses(inGroup, each)), 31)
      assert.equal(await storm([who('0@example.com', '2001:db8:2::/64')]), 1)
    })
  }

  test('at one account for 8 seconds: fewer than 40', async () => {
    await clear()
    let tried = 0
    for (let second = 0; second < 8; second += 1) {
      tried += await storm(
        guesses(
          (index) => `${index}00`,
          () => 'a@example.com',
        ),
      )
      clock.advance(1_000)
    }
    assert.ok(tried < 40, String(tried))
  })
})

describe('one attempt', () => {
  test('429 says when to try again, in the header and in words, and that time is right', async () => {
    await clear()
    const by = who('b@example.com', '192.0.2.9/32')
    for (let failure = 0; failure < 12; failure += 1) {
      await first().prove(by, async () => false)
      clock.advance(1_000)
    }
    const refusal = await first()
      .look(by)
      .catch((error: unknown) => error as { headers: Record<string, string>; message: string })
    assert.ok('headers' in refusal)
    assert.equal(refusal.headers['retry-after'], '1')
    assert.match(refusal.message, /Try again in 1 s/)
    clock.advance(1_000)
    assert.deepEqual(await first().look(by), { known: false })
  })

  test('an error while checking does not count as a failure', async () => {
    await clear()
    const by = who('c@example.com', '192.0.2.9/32')
    for (let call = 0; call < 50; call += 1) {
      await assert.rejects(
        first().prove(by, async () => Promise.reject(new Error('busy'))),
        /busy/,
      )
    }
    assert.deepEqual(await first().look(by), { known: false })
    assert.ok((await rows()).every(({ failures }) => failures === 0))
  })

  test('kinds, accounts and networks are counted separately, spellings of one network together', async () => {
    await clear()
    for (let failure = 0; failure < 11; failure += 1) await first().before(who('d@example.com', '2001:db8::/64'))
    await assert.rejects(first().look(who('d@example.com', '2001:db8::/64')), { status: 429 })
    await assert.rejects(first().look(who('d@example.com', '2001:DB8::7')), { status: 429 })
    for (const other of [
      who('d@example.com', '2001:db8::/64', 'code'),
      who('e@example.com', '2001:db8::/64'),
      who('d@example.com', '2001:db8:0:1::/64'),
      who('d@example.com', null),
      who(null, '2001:db8::/64', 'token'),
    ]) {
      await first().look(other)
    }
  })

  test('an account that does not exist is treated like any other', async () => {
    await clear()
    const steps = async (subject: string): Promise<readonly unknown[]> => {
      const seen: unknown[] = []
      for (let failure = 0; failure < 16; failure += 1) {
        seen.push(
          await first()
            .prove(who(subject, '192.0.2.77/32'), async () => false)
            .catch((error: { message: string }) => error.message),
        )
      }
      return seen
    }
    assert.deepEqual(await steps('admin@example.com'), await steps('nobody@example.com'))
  })
})

describe('the table', () => {
  test('contains no addresses or networks, and nothing that can be found by guessing them', async () => {
    await clear()
    await first().before(who('secret.person@example.com', '198.51.100.77/32'))
    const [dump] = (await owner.query(`select string_agg(t::text, ' ') as text from attempt_tallies t`)).rows
    assert.doesNotMatch(dump.text, /secret|example|198/)
    const elsewhere = createAttempts(pools[0] as Db, clock, 'another key that is long enough for anybody')
    await elsewhere.before(who('secret.person@example.com', '198.51.100.77/32'))
    assert.equal((await rows()).length, 6, 'another key gives other names to the same')
  })

  test('is still complete a busy minute later; hours later only known networks are left', async () => {
    await clear()
    await first().prove(who('f@example.com', '192.0.2.1/32'), async () => true)
    for (let network = 0; network < 20; network += 1) {
      await first().before(who('g@example.com', `198.51.100.${network}/32`))
    }
    const expired = (hours: number) =>
      owner.query(`select from attempt_tallies where forget_at < $1`, [
        new Date(clock.now().getTime() + hours * 3_600_000),
      ])
    assert.equal((await expired(0.5)).rowCount, 0)
    const { rowCount } = await expired(2)
    assert.equal(rowCount, (await rows()).length - 1)
  })

  test('503, not a way in, while the database does not respond', async () => {
    const dead = openDb({
      connection: { host: '127.0.0.1', port: 1, user: 'x', password: 'x', database: 'x' },
      poolSize: 1,
      onError: () => {},
    })
    const attempts = createAttempts(dead, clock, secretKey)
    let proved = false
    await assert.rejects(
      attempts.prove(who('a@example.com', '192.0.2.1/32'), async () => {
        proved = true
        return true
      }),
      { status: 503 },
    )
    assert.equal(proved, false)
    await dead.close()
  })
})
