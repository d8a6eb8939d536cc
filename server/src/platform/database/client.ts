import pg from 'pg'
import type { Connection } from './db.ts'

/** Does the work on a connection outside the pools, and closes it. */
export async function withClient<T>(connection: Connection, work: (client: pg.Client) => Promise<T>): Promise<T> {
  // A lost connection shows in its queries; without a listener the error event would end the process.
  const client = new pg.Client(connection).on('error', () => {})
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
