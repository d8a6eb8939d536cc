import pg from 'pg'
import type { Connection, Queryable } from './db.ts'

export type Client = pg.Client

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

/** For stores: their statements in whatever transaction the client is in. */
export function queryableOn(client: pg.Client): Queryable {
  const ask = async <Row>(text: string, values: readonly unknown[]) => {
    const { rows } = await client.query(text, [...values])
    return rows as readonly Row[]
  }
  return {
    run: (query) => {
      const { sql, parameters } = query.compile()
      return ask(sql, parameters)
    },
    execute: ({ text }, values) => ask(text, values),
  }
}
