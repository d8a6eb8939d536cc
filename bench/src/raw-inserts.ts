import pg from 'pg'
import type { OpenAct } from './acts.ts'
import type { Connection } from './plan.ts'
import { createBody } from './sample.ts'

/**
 * The yardstick: what this PostgreSQL on this disk can do with one prepared INSERT of one row per commit and nothing else. The
 * row has the same bytes as a create, and the table has one ascending key and no other index.
 */
export async function openRawInserts(connection: Connection, concurrency: number): Promise<OpenAct> {
  const clients = Array.from({ length: concurrency }, () => new pg.Client({ ...connection, application_name: 'bench' }))
  await Promise.all(clients.map((client) => client.connect()))
  await clients[0]?.query(`create table if not exists bench_raw (id bigint generated always as identity primary key,
    created_at timestamptz not null default now(), title text not null, body json not null)`)
  const text = 'insert into bench_raw (title, body) values ($1, $2)'
  const target = { url: 'http://127.0.0.1:65535/callback', secret: 'the secret that agent and service share' }
  return {
    act: async (worker) => {
      const values = ['Delete unused volumes?', createBody(target)]
      const result = await clients[worker]?.query({ name: 'raw', text, values })
      if (result?.rowCount !== 1) throw new Error('a raw insert did not insert one row')
      return {}
    },
    close: async () => void (await Promise.all(clients.map((client) => client.end()))),
  }
}
