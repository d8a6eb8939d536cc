import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { withClient } from './database.ts'
import type { Connection } from './plan.ts'

export interface Floor {
  readonly url: string
  readonly pid: number
}

export interface FloorProcess {
  readonly listening: Promise<Floor>
  stop(): Promise<void>
}

/** Starts floor.ts on a database of its own, on the same PostgreSQL with the same settings as the service's. */
export function startFloor(connection: Connection): FloorProcess {
  const child = fork(fileURLToPath(new URL('floor.ts', import.meta.url)))
  const ended = once(child, 'exit')
  const start = async (): Promise<Floor> => {
    await withClient({ ...connection, user: 'postgres', database: 'postgres' }, (client) =>
      client.query(`create database floor owner ${connection.user}`),
    )
    const replied = once(child, 'message')
    child.send({ ...connection, database: 'floor' })
    const early = ended.then(() => {
      throw new Error('the floor ended early')
    })
    const [reply] = (await Promise.race([replied, early])) as [{ readonly url?: string; readonly failure?: string }]
    if (reply.url === undefined) throw new Error(reply.failure ?? 'the floor did not start')
    return { url: reply.url, pid: child.pid ?? 0 }
  }
  return {
    listening: start(),
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    },
  }
}
