import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, describe, test } from 'node:test'
import pg from 'pg'
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../server/src/platform/embedded-postgres/embedded-postgres.ts'
import { eventually } from '../server/test/eventually.ts'

const asRoot = process.getuid?.() === 0
const source = new URL('../server/src/platform/embedded-postgres/embedded-postgres.ts', import.meta.url).href
const base = await mkdtemp(join(tmpdir(), 'hitl test ü '))
const children = new Set<ChildProcess>()
const servers = new Set<number>()
const handles = new Set<EmbeddedPostgres>()

after(async () => {
  // Stop handles first, because a handle that is not stopped restarts its server.
  await Promise.allSettled([...handles].map((postgres) => postgres.stop()))
  for (const child of children) child.kill('SIGKILL')
  for (const pid of servers) if (await isPostmaster(pid)) process.kill(pid, 'SIGQUIT')
  await eventually('every server has ended', async () =>
    (await Promise.all([...servers].map(isPostmaster))).every((alive) => !alive),
  )
  await rm(base, { recursive: true, force: true })
})

/** Checks the command line and not only the pid, so that a zombie or a reused pid does not count. */
const isPostmaster = async (pid: number) =>
  process.platform === 'linux'
    ? (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).includes('cluster_name=hitl-')
    : signalled(pid)

function signalled(pid: number) {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function start(dataDir: string, options: { durable?: boolean; settings?: Record<string, string> } = {}) {
  const lines: string[] = []
  const postgres = await startEmbeddedPostgres({ dataDir, durable: false, log: (line) => lines.push(line), ...options })
  servers.add(postgres.pid)
  handles.add(postgres)
  return { postgres, lines }
}

async function query({ connection }: Pick<EmbeddedPostgres, 'connection'>, sql: string) {
  const client = new pg.Client(connection)
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

interface Other {
  readonly child: ChildProcess
  readonly owned: boolean
  readonly pid: number
  readonly lines: readonly string[]
  stop(): Promise<void>
}

/** Another process of the service: starts, prints what it got, stops when its stdin closes. */
async function startOther(dataDir: string): Promise<Other> {
  const program = `
    import { startEmbeddedPostgres } from ${JSON.stringify(source)}
    const lines = []
    const postgres = await startEmbeddedPostgres({ dataDir: process.argv[1], durable: false, log: (line) => lines.push(line) })
    console.log(JSON.stringify({ owned: postgres.owned, pid: postgres.pid, lines }))
    process.stdin.resume().once('end', () => postgres.stop())`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, dataDir], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  children.add(child)
  const [line] = await once(createInterface(child.stdout), 'line')
  const answer = JSON.parse(String(line)) as { owned: boolean; pid: number; lines: string[] }
  servers.add(answer.pid)
  const stop = async () => {
    child.stdin.end()
    if (child.exitCode === null) await once(child, 'exit')
    children.delete(child)
  }
  return { child, ...answer, stop }
}

/** A cluster that is made once and copied, so that not every test waits for initdb. */
const template = join(base, 'template')
async function dataFolder(name: string) {
  const folder = join(base, name)
  await cp(template, folder, { recursive: true })
  return folder
}

describe('the embedded PostgreSQL', () => {
  test('a first start in an empty folder creates a durable UTF-8 database that keeps its rows', async () => {
    const { postgres } = await start(template, { durable: true })
    assert.equal(postgres.owned, true)
    assert.deepEqual(await query(postgres, 'select 1 as one'), [{ one: 1 }])
    assert.deepEqual(await query(postgres, 'show fsync'), [{ fsync: 'on' }])
    assert.deepEqual(await query(postgres, 'show server_encoding'), [{ server_encoding: 'UTF8' }])
    assert.deepEqual(await query(postgres, `select upper('ärger') as text, 'B' < 'a' as by_code_point`), [
      { text: 'ÄRGER', by_code_point: true },
    ])
    assert.deepEqual(await query(postgres, `select rolsuper from pg_roles where rolname = current_user`), [
      { rolsuper: false },
    ])
    await query(postgres, `create table kept as select 'first' as word`)
    await Promise.all([postgres.stop(), postgres.stop()])
    assert.equal(await isPostmaster(postgres.pid), false)
    assert.equal((await stat(join(template, 'postgres-password'))).mode & 0o777, 0o600)
    assert.deepEqual((await readdir(template)).sort(), ['postgres', 'postgres-password'])

    const again = await start(template)
    assert.deepEqual(await query(again.postgres, 'select word from kept'), [{ word: 'first' }])
    await again.postgres.stop()
  })

  test('settings of the caller override the standard ones', async () => {
    const { postgres } = await start(await dataFolder('settings'), { settings: { max_connections: '31' } })
    assert.deepEqual(await query(postgres, 'show max_connections'), [{ max_connections: '31' }])
    await postgres.stop()
  })

  test('a wrong password is refused', async () => {
    const { postgres } = await start(await dataFolder('password'))
    const wrong = { connection: { ...postgres.connection, password: 'guess' } }
    await assert.rejects(query(wrong, 'select 1'), { code: '28P01' })
    await postgres.stop()
  })

  test('after kill -9 of the service the next start takes over the running server with its rows', async () => {
    const folder = await dataFolder('orphan')
    const killed = await startOther(folder)
    const peek = await start(folder)
    assert.equal(peek.postgres.owned, false)
    await query(peek.postgres, 'create table answers as select 42 as answer')
    await peek.postgres.stop()
    assert.equal(await isPostmaster(killed.pid), true, 'a process that came second does not stop the server')
    killed.child.kill('SIGKILL')
    await once(killed.child, 'exit')

    const began = performance.now()
    const { postgres } = await start(folder)
    assert.ok(performance.now() - began < 3_000)
    assert.equal(postgres.pid, killed.pid)
    assert.equal(postgres.owned, true)
    assert.deepEqual(await query(postgres, 'select answer from answers'), [{ answer: 42 }])
    await postgres.stop()
    assert.equal(await isPostmaster(killed.pid), false)
  })

  test('when the first process stops, the server keeps running for the second, which stops it', async () => {
    const folder = await dataFolder('hand over')
    const first = await startOther(folder)
    const { postgres } = await start(folder)
    assert.deepEqual([first.owned, postgres.owned, postgres.pid], [true, false, first.pid])
    await first.stop()
    assert.deepEqual(await query(postgres, 'select 1 as one'), [{ one: 1 }])
    await postgres.stop()
    assert.equal(await isPostmaster(first.pid), false)
  })

  test('three first starts at once make one cluster and share one server', async () => {
    const folder = join(base, 'three at once')
    const three = await Promise.all([startOther(folder), startOther(folder), startOther(folder)])
    assert.equal(new Set(three.map(({ pid }) => pid)).size, 1)
    assert.equal(three.filter(({ owned }) => owned).length, 1)
    assert.equal(three.flatMap(({ lines }) => lines).filter((line) => line.includes('creating')).length, 1)
    await Promise.all(three.map((one) => one.stop()))
    assert.equal(await isPostmaster(three[0].pid), false)
  })

  test('processes that start while another one stops still get a server', async () => {
    const folder = await dataFolder('changing of the guard')
    let guard = (await start(folder)).postgres
    for (let round = 0; round < 4; round++) {
      const [, next] = await Promise.all([guard.stop(), start(folder)])
      guard = next.postgres
      assert.deepEqual(await query(guard, 'select 1 as one'), [{ one: 1 }])
    }
    await guard.stop()
  })

  test('a server killed with -9 is restarted with all committed rows', async () => {
    const folder = await dataFolder('killed server')
    const { postgres, lines } = await start(folder, { durable: true })
    await query(postgres, 'create table sevens as select 7 as seven')
    const killed = postgres.pid
    process.kill(killed, 'SIGKILL')
    await eventually('another server runs', () => postgres.pid !== killed)
    servers.add(postgres.pid)
    assert.deepEqual(await query(postgres, 'select seven from sevens'), [{ seven: 7 }])
    assert.ok(lines.some((line) => line.includes('lost the server')))
    await postgres.stop()
    assert.equal(await isPostmaster(postgres.pid), false)
  })

  test('a server killed with -9 in the middle of a long computation does not block the next start', async () => {
    const folder = await dataFolder('busy session')
    const owner = await startOther(folder)
    const { postgres } = await start(folder)
    const busy = query(postgres, 'select count(*) from generate_series(1, 200000000) a').catch(() => 'cut off')
    const computing = `select 1 from pg_stat_activity where query like 'select count%' and state = 'active'`
    await eventually('a session computes', async () => (await query(postgres, computing)).length > 0)
    owner.child.kill('SIGKILL')
    const killed = postgres.pid
    process.kill(killed, 'SIGKILL')
    await eventually('another server runs', () => postgres.pid !== killed)
    servers.add(postgres.pid)
    assert.equal(await busy, 'cut off')
    await postgres.stop()
  })

  test('a stale pid file does no harm: a dead pid, its own pid, or the pid of another process of the same account', async () => {
    const folder = await dataFolder('stale')
    const gone = spawn(process.execPath, ['-e', '0'])
    await once(gone, 'exit')
    const { uid, gid } = await stat(join(folder, 'postgres'))
    const account = asRoot ? { uid, gid } : {}
    const stranger = spawn('/bin/sleep', ['600'], { ...account, cwd: '/' })
    children.add(stranger)
    for (const pid of [gone.pid, process.pid, stranger.pid]) {
      await writeFile(
        join(folder, 'postgres', 'postmaster.pid'),
        `${pid}\n/elsewhere\n1\n5432\n.\n\n  1  1\nready   \n`,
      )
      const { postgres } = await start(folder)
      assert.notEqual(postgres.pid, pid)
      await postgres.stop()
    }
    assert.equal(stranger.exitCode, null, 'the unrelated process lives on')
    stranger.kill()
  })

  test('a start interrupted during initdb does not harm the next one', async () => {
    const folder = join(base, 'half')
    await mkdir(join(folder, 'postgres-new-0badc0de', 'cluster', 'base'), { recursive: true })
    await writeFile(join(folder, 'postgres-initdb.lock'), String(process.pid))
    const { postgres } = await start(folder)
    assert.deepEqual(await query(postgres, 'select 1 as one'), [{ one: 1 }])
    await postgres.stop()
    assert.deepEqual((await readdir(folder)).sort(), ['postgres', 'postgres-password'])
  })

  test('a server whose socket file was deleted is restarted', async () => {
    const folder = await dataFolder('lost socket')
    const orphaned = await startOther(folder)
    orphaned.child.kill('SIGKILL')
    await rm(join(folder, 'postgres', '.s.PGSQL.5432'))
    const { postgres } = await start(folder)
    assert.notEqual(postgres.pid, orphaned.pid)
    assert.deepEqual(await query(postgres, 'select 1 as one'), [{ one: 1 }])
    await postgres.stop()
  })

  test('a folder too deep for a socket gets a private socket folder elsewhere, the same one again', async () => {
    const folder = await dataFolder(join('deep', 'd'.repeat(120)))
    const hosts = []
    for (let round = 0; round < 2; round++) {
      const { postgres } = await start(folder)
      hosts.push(postgres.connection.host)
      assert.equal((await stat(postgres.connection.host)).mode & 0o777, 0o700)
      assert.deepEqual(await query(postgres, 'select 1 as one'), [{ one: 1 }])
      await postgres.stop()
    }
    assert.equal(hosts[0], hosts[1])
    await rm(String(hosts[0]), { recursive: true })
  })

  test('data of another major version is refused with a solution', async () => {
    const folder = await dataFolder('other major')
    await writeFile(join(folder, 'postgres', 'PG_VERSION'), '16\n')
    await assert.rejects(start(folder), /holds data of PostgreSQL 16, but this release brings PostgreSQL 18.*dump/)
  })

  test('a missing or wrong password file is named', async () => {
    const folder = await dataFolder('lost password')
    await writeFile(join(folder, 'postgres-password'), 'foreign')
    await assert.rejects(start(folder), /postgres-password is not that of the cluster/)
    assert.ok(!(await readdir(join(folder, 'postgres'))).includes('postmaster.pid'), 'no server is left running')
    await rm(join(folder, 'postgres-password'))
    await assert.rejects(start(folder), /postgres-password is missing/)
  })

  test('a data folder that is a file, or a setting that the server refuses, fails with a clear message', async () => {
    await writeFile(join(base, 'file'), '')
    await assert.rejects(start(join(base, 'file')), /is not a folder\. Set DATA_DIR/)
    const folder = await dataFolder('bad setting')
    await assert.rejects(
      start(folder, { settings: { shared_buffers: 'lots' } }),
      /does not start.*log is in.*shared_buf/s,
    )
  })
})

if (asRoot)
  describe('started by root', () => {
    test('the server runs as another account', async () => {
      const { postgres } = await start(await dataFolder('account'))
      const status = await readFile(`/proc/${postgres.pid}/status`, 'utf8')
      assert.match(status, /^Uid:\t([1-9]\d*)\t\1\t\1\t\1$/m)
      await postgres.stop()
    })

    test('a data folder inside a folder that only root may enter works, and its mode is unchanged', async () => {
      const closed = join(base, 'closed')
      await mkdir(closed, { mode: 0o700 })
      const { postgres } = await start(join(closed, 'data'))
      assert.deepEqual(await query(postgres, 'select 1 as one'), [{ one: 1 }])
      await postgres.stop()
      assert.equal((await stat(closed)).mode & 0o777, 0o700)
    })

    test('a cluster restored with the wrong owner and mode is repaired', async () => {
      const folder = await dataFolder('restored')
      assert.equal((await stat(join(folder, 'postgres'))).uid, 0)
      const { postgres } = await start(folder)
      assert.notEqual((await stat(join(folder, 'postgres'))).uid, 0)
      await postgres.stop()
    })
  })
