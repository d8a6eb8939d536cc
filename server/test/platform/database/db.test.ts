import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import {
  type Connection,
  type Db,
  type DbOptions,
  inTransaction,
  openDb,
  parseTimestamp,
  type Statement,
} from '../../../src/platform/database/db.ts'
import { provesRollback, sqlState } from '../../../src/platform/database/errors.ts'
import { Problem } from '../../../src/platform/problem.ts'
import { cloneDatabase } from '../../harness.ts'
import { startRawReceiver } from '../../receivers.ts'

let database: Awaited<ReturnType<typeof cloneDatabase>>
let db: Db
before(async () => {
  database = await cloneDatabase()
  db = open()
  await db.within({}).execute(statement('create table notes (id integer primary key, note text)'), [])
})
after(async () => {
  await db.close()
  await database.drop()
})

function open(options: Partial<DbOptions> = {}): Db {
  return openDb({ connection: database.connection, poolSize: 3, onError: () => {}, ...options })
}

let statements = 0
function statement(text: string): Statement {
  statements += 1
  return { name: `test_${statements}`, text }
}

const insert = statement('insert into notes values ($1, $2)')
const count = async (note: string): Promise<number> => {
  const [row] = await db
    .within({})
    .execute<{ rows: number }>(statement('select count(*)::int as rows from notes where note = $1'), [note])
  return row?.rows ?? -1
}
const is503 = (error: unknown): boolean => {
  assert.ok(error instanceof Problem, String(error))
  assert.deepEqual([error.status, error.code, error.headers['retry-after']], [503, 'service.unavailable', '1'])
  assert.doesNotMatch(error.message, /ECONN|terminat|timeout/i)
  return true
}
let lastId = 0
const nextId = (): number => {
  lastId += 1
  return lastId
}

/** Notes which hooks ran. */
const hooks = () => {
  const ran: string[] = []
  return { ran, commit: () => void ran.push('commit'), rollback: () => void ran.push('rollback') }
}

describe('a transaction', () => {
  test('commits, returns the result of work, and then runs its commit hooks once', async () => {
    const { ran, commit, rollback } = hooks()
    const answer = await inTransaction(db, {}, async (tx) => {
      tx.onCommit(commit)
      tx.onRollback(rollback)
      await tx.execute(insert, [nextId(), 'kept'])
      assert.deepEqual(ran, [])
      return 'answer'
    })
    assert.deepEqual([answer, ran, await count('kept')], ['answer', ['commit'], 1])
  })

  test('rolls back when work throws, rethrows the same error, and runs only its rollback hooks', async () => {
    const { ran, commit, rollback } = hooks()
    const error = new Error('mine')
    await assert.rejects(
      inTransaction(db, {}, async (tx) => {
        tx.onCommit(commit)
        tx.onRollback(rollback)
        await tx.execute(insert, [nextId(), 'thrown'])
        throw error
      }),
      (thrown) => thrown === error,
    )
    assert.deepEqual([ran, await count('thrown')], [['rollback'], 0])
  })

  test('rolls back when work throws before its statement was answered', async () => {
    await assert.rejects(
      inTransaction(db, {}, (tx) => {
        tx.execute(insert, [nextId(), 'hasty']).catch(() => {})
        throw new Error('hasty')
      }),
      /hasty/,
    )
    assert.equal(await count('hasty'), 0)
  })

  test('rolls back when a statement fails, naming the SQLSTATE', async () => {
    const { ran, commit, rollback } = hooks()
    const id = nextId()
    await assert.rejects(
      inTransaction(db, {}, async (tx) => {
        tx.onCommit(commit)
        tx.onRollback(rollback)
        await tx.execute(insert, [id, 'twice'])
        await tx.execute(insert, [id, 'twice'])
      }),
      (error) => sqlState(error) === '23505' && provesRollback(error),
    )
    assert.deepEqual([ran, await count('twice')], [['rollback'], 0])
  })

  test('does not commit if a pipelined statement failed, even if work caught the error', async () => {
    const { ran, commit, rollback } = hooks()
    const id = nextId()
    await assert.rejects(
      inTransaction(db, {}, async (tx) => {
        tx.onCommit(commit)
        tx.onRollback(rollback)
        const both = [tx.execute(insert, [id, 'hidden']), tx.execute(insert, [id, 'hidden'])]
        await Promise.allSettled(both)
        return 'as if nothing had happened'
      }),
    )
    assert.deepEqual([ran, await count('hidden')], [['rollback'], 0])
  })

  test('pipelined statements are answered in order', async () => {
    const echo = statement('select $1::int as value')
    const rows = await inTransaction(db, {}, (tx) =>
      Promise.all(Array.from({ length: 50 }, (_, value) => tx.execute<{ value: number }>(echo, [value]))),
    )
    assert.deepEqual(
      rows.map(([row]) => row?.value),
      Array.from({ length: 50 }, (_, value) => value),
    )
  })

  test('final statements are part of the commit, and a failure among them undoes it', async () => {
    await inTransaction(db, {}, async (tx) => tx.last(tx.execute(insert, [nextId(), 'last'])))
    assert.equal(await count('last'), 1)
    const { ran, commit, rollback } = hooks()
    await assert.rejects(
      inTransaction(db, {}, async (tx) => {
        tx.onCommit(commit)
        tx.onRollback(rollback)
        await tx.execute(insert, [nextId(), 'undone'])
        tx.last(tx.execute(insert, [lastId, 'undone']))
      }),
      (error) => sqlState(error) === '23505',
    )
    assert.deepEqual([ran, await count('undone')], [['rollback'], 0])
  })

  test('leaves its connection usable, even after a hundred failures', async () => {
    const small = open({ poolSize: 1 })
    for (let round = 0; round < 100; round += 1) {
      await assert.rejects(inTransaction(small, {}, (tx) => tx.execute(statement('select 1/0'), [])))
    }
    assert.deepEqual(await small.within({}).execute(statement('select 1 as one'), []), [{ one: 1 }])
    await small.close()
  })

  test('sees nothing of another transaction that has not committed', async () => {
    await inTransaction(db, {}, async (tx) => {
      await tx.execute(insert, [nextId(), 'unseen'])
      assert.equal(await count('unseen'), 0)
    })
    assert.equal(await count('unseen'), 1)
  })
})

describe('503, and the pool works afterwards', () => {
  test('when a statement exceeds its timeout', async () => {
    const impatient = open({ statementTimeoutMs: 100 })
    await assert.rejects(impatient.within({}).execute(statement('select pg_sleep(30)'), []), is503)
    const { ran, commit, rollback } = hooks()
    await assert.rejects(
      inTransaction(impatient, {}, async (tx) => {
        tx.onCommit(commit)
        tx.onRollback(rollback)
        await tx.execute(insert, [nextId(), 'slow'])
        await tx.execute(statement('select pg_sleep(30)'), [])
      }),
      is503,
    )
    assert.deepEqual([ran, await count('slow')], [['rollback'], 0])
    await impatient.ping()
    await impatient.close()
  })

  test('when the connection dies during a transaction, whose commit hooks do not run', async () => {
    const { ran, commit, rollback } = hooks()
    await assert.rejects(
      inTransaction(db, {}, async (tx) => {
        tx.onCommit(commit)
        tx.onRollback(rollback)
        const [row] = await tx.execute<{ pid: number }>(statement('select pg_backend_pid() as pid'), [])
        await tx.execute(insert, [nextId(), 'killed'])
        await db.within({}).execute(statement('select pg_terminate_backend($1)'), [row?.pid])
        await tx.execute(statement('select 1'), [])
      }),
      (error) => is503(error) && !provesRollback(error),
    )
    assert.deepEqual([ran, await count('killed')], [['rollback'], 0])
    await db.ping()
  })

  test('when every connection of the pool was killed while idle', async () => {
    const own = open({ connection: { ...database.connection, application_name: 'idle' } as Connection })
    await Promise.all([own.ping(), own.ping(), own.ping()])
    const admin = new pg.Client({ ...database.connection, database: 'postgres' })
    await admin.connect()
    await admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()`,
      [database.connection.database],
    )
    await admin.end()
    // At most the calls that met the dead connections fail, and as 503.
    for (const pool of [own, db]) {
      for (let call = 0; call < 5; call += 1) await pool.ping().catch(is503)
      await pool.ping()
    }
    await own.close()
  })

  test('when nothing listens, at once', async () => {
    const receiver = await startRawReceiver(() => {})
    await receiver.close()
    const gone = open({ connection: { ...database.connection, host: '127.0.0.1', port: receiver.port } })
    await assert.rejects(gone.ping(), is503)
    await assert.rejects(
      inTransaction(gone, {}, async () => assert.fail('work was begun')),
      is503,
    )
    await gone.close()
  })

  test('when the server accepts the connection and never replies', async () => {
    const receiver = await startRawReceiver(() => {})
    const silent = open({
      connection: { ...database.connection, host: '127.0.0.1', port: receiver.port },
      acquireTimeoutMs: 200,
    })
    await assert.rejects(silent.within({}).execute(insert, [0, 'x']), is503)
    await assert.rejects(
      inTransaction(silent, {}, async () => assert.fail('work was begun')),
      is503,
    )
    await silent.close()
    await receiver.close()
  })

  test('when all connections stay busy', async () => {
    const small = open({ poolSize: 1, acquireTimeoutMs: 100 })
    await inTransaction(small, {}, async () => {
      await assert.rejects(small.ping(), is503)
    })
    await small.ping()
    await small.close()
  })
})

test('a pool for look-ups joins row by row, and one with free plans as PostgreSQL chooses', async () => {
  const explain = statement('explain select * from notes a join notes b using (note)')
  for (const [plans, join] of [
    ['lookups', /^Nested Loop/],
    ['free', /^(Hash|Merge) Join/],
  ] as const) {
    for (const prepare of [true, false]) {
      const own = open({ plans, prepare })
      const [plan] = await own.within({}).execute<Record<string, string>>(explain, [])
      assert.match(plan?.['QUERY PLAN'] ?? '', join)
      await own.close()
    }
  }
})

test('using a name for two statements is refused before anything is sent, in one group or in two', async () => {
  const name = 'test_one_name'
  const texts = ['select 1 as one', 'select 2 as two']
  const refusal = new TypeError('Two prepared statements have the name "test_one_name".')
  const own = open({ poolSize: 1 })
  try {
    const both = own.transaction({}, (tx) => Promise.all(texts.map((text) => tx.execute({ name, text }, []))))
    await assert.rejects(both, refusal)
    const [one = '', two = ''] = texts
    assert.deepEqual(await own.within({}).execute({ name, text: one }, []), [{ one: 1 }])
    await assert.rejects(own.within({}).execute({ name, text: two }, []), refusal)
    assert.deepEqual(await own.within({}).execute({ name, text: two }, []), [{ two: 2 }], 'on a connection of its own')
  } finally {
    await own.close()
  }
})

test('a value that cannot be written is a bug of the service, not an outage', async () => {
  await assert.rejects(db.within({}).execute(insert, [nextId(), { big: 1n }]), (error) => error instanceof TypeError)
})

describe('values', () => {
  test('are read as UTC milliseconds, numbers and untouched JSON text', async () => {
    const [row] = await db
      .within({})
      .execute(
        statement(
          `select timestamptz '2026-01-31 10:00:00.123+01' as time, 12::bigint as count, json '{ "a":1.0 }' as text, null::timestamptz as none`,
        ),
        [],
      )
    assert.deepEqual(row, { time: new Date('2026-01-31T09:00:00.123Z'), count: 12, text: '{ "a":1.0 }', none: null })
  })

  for (const [text, iso] of [
    ['2026-01-31 12:00:00.123+00', '2026-01-31T12:00:00.123Z'],
    ['2026-01-31 12:00:00.1+00', '2026-01-31T12:00:00.100Z'],
    ['2026-01-31 12:00:00+00', '2026-01-31T12:00:00.000Z'],
    ['1970-01-01 00:00:00+00', '1970-01-01T00:00:00.000Z'],
    ['9999-12-31 23:59:59.999+00', '9999-12-31T23:59:59.999Z'],
    ['2026-01-31 12:00:00+05:30', '2026-01-31T06:30:00.000Z'],
  ] as const) {
    test(`${text} is ${iso}`, () => assert.equal(parseTimestamp(text).toISOString(), iso))
  }

  test('statements work without being prepared, too', async () => {
    const plain = open({ prepare: false })
    assert.deepEqual(await plain.within({}).execute({ name: 'same', text: 'select $1::int as a' }, [1]), [{ a: 1 }])
    assert.deepEqual(await plain.within({}).execute({ name: 'same', text: 'select $1::text as b' }, ['x']), [
      { b: 'x' },
    ])
    await plain.close()
  })
})

test('only an error from PostgreSQL itself proves a rollback', () => {
  const refused = (code: string): pg.DatabaseError => Object.assign(new pg.DatabaseError('x', 1, 'error'), { code })
  for (const code of ['23505', '23503', '22P02', '40001', '40P01']) assert.ok(provesRollback(refused(code)), code)
  for (const code of ['57014', '57P01', '53300', '08006', '58030', '25006', '55000'])
    assert.ok(!provesRollback(refused(code)), code)
  assert.ok(!provesRollback(Object.assign(new Error('x'), { code: 'ECONNRESET' })))
})
