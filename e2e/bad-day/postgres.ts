import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { prepareCluster } from '../../server/src/platform/embedded-postgres/cluster.ts'
import { serverEnvironment } from '../../server/src/platform/embedded-postgres/programs.ts'
import { eventually } from '../../server/test/eventually.ts'
import { freePort } from '../../server/test/receivers.ts'

/** A PostgreSQL server that nothing but the test stops, starts and fills: to the service it is one elsewhere. */
export interface DatabaseServer {
  readonly port: number
  readonly password: string
  start(): Promise<void>
  /** fast: sessions are ended, then a checkpoint. immediate: as after a power cut. */
  stop(how: 'fast' | 'immediate'): Promise<void>
  /** Leaves no byte free on the disk that holds it; the function returned frees it again. */
  fillDisk(): Promise<() => Promise<void>>
  sql(query: string): Promise<readonly Record<string, unknown>[]>
}

export const databaseName = 'hitl'
export const databaseUser = 'hitl'

/** `folder` is empty, and on a file system that may be filled. */
export async function startDatabaseServer(folder: string): Promise<DatabaseServer> {
  const cluster = await prepareCluster(folder, true, () => {})
  const port = await freePort()
  const settings = { listen_addresses: '127.0.0.1', port, unix_socket_directories: '', max_wal_size: '64MB' }
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  let child: ChildProcess | null = null
  const isUp = () => child !== null && child.exitCode === null && child.signalCode === null

  const connect = async (database: string) => {
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', password: cluster.password, database })
    client.on('error', () => {})
    await client.connect()
    return client
  }
  const sql = async (query: string, database = databaseName) => {
    const client = await connect(database)
    try {
      return (await client.query(query)).rows
    } finally {
      await client.end()
    }
  }
  const start = async () => {
    assert.ok(!isUp(), 'it runs already')
    const started = spawn(join(cluster.programs, 'postgres'), ['-D', cluster.directoryForServer, ...args], {
      cwd: cluster.directory,
      stdio: 'ignore',
      env: serverEnvironment,
      ...cluster.account,
    })
    child = started
    await eventually('the database server takes connections', async () => {
      assert.equal(started.exitCode, null, 'PostgreSQL has ended')
      return sql('select 1', 'postgres').then(
        () => true,
        () => false,
      )
    })
  }
  const stop = async (how: 'fast' | 'immediate') => {
    if (child === null || !isUp()) return
    const gone = once(child, 'exit')
    child.kill(how === 'fast' ? 'SIGINT' : 'SIGQUIT')
    await gone
  }
  const fillDisk = async () => {
    const ballast = join(folder, 'ballast')
    for (const size of [1_048_576, 4_096, 1]) {
      const block = Buffer.alloc(size)
      for (;;) {
        const error = await appendFile(ballast, block).then(
          () => null,
          (thrown: NodeJS.ErrnoException) => thrown,
        )
        if (error === null) continue
        assert.equal(error.code, 'ENOSPC')
        break
      }
    }
    return async () => {
      await rm(ballast, { force: true })
      // A server that cannot write its log of changes ends itself.
      if (!isUp()) await start()
    }
  }

  await start()
  const secret = pg.escapeLiteral(cluster.password)
  await sql(`create role ${databaseUser} login createdb createrole password ${secret}`, 'postgres')
  await sql(`grant pg_monitor to ${databaseUser}`, 'postgres')
  await sql(`create database ${databaseName} owner ${databaseUser}`, 'postgres')
  return { port, password: cluster.password, start, stop, fillDisk, sql }
}
