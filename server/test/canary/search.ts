import pg from 'pg'
import type { Connection } from '../../src/platform/database/db.ts'

/** A secret that the service was given or that it made. */
export interface Planted {
  readonly what: string
  readonly secret: string
  /** Whether mails may contain it, because that is how the person gets it. */
  readonly mailed: boolean
}

export interface Found {
  readonly what: string
  readonly where: string
  readonly form: string
  readonly excerpt: string
}

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

function toBytes(text: string, alphabet: string): Buffer {
  let value = 0n
  for (const sign of text) value = value * BigInt(alphabet.length) + BigInt(alphabet.indexOf(sign))
  const hex = value.toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
}

/** The bytes that a text encodes, if any: tokens in base64url, seeds in base32, API keys in base 62. */
function bytesBehind(secret: string): readonly Buffer[] {
  const bytes: Buffer[] = [Buffer.from(secret, 'utf8')]
  const encoded = secret.replace(/^whsec_/, '')
  if (/^[A-Za-z0-9+/_-]{22,}={0,2}$/.test(encoded)) bytes.push(Buffer.from(encoded, 'base64'))
  if (/^[A-Z2-7]{16,}$/.test(secret)) bytes.push(toBytes(secret, base32))
  if (/^hitl_[0-9A-Za-z]{71}$/.test(secret)) bytes.push(toBytes(secret.slice(27, 70), base62))
  return bytes
}

/** Every form in which a secret could be stored. */
export function formsOf(secret: string): ReadonlyMap<string, string> {
  const forms = new Map<string, string>([
    ['as it is', secret],
    ['as JSON', JSON.stringify(secret).slice(1, -1)],
    ['as JSON in JSON', JSON.stringify(JSON.stringify(secret)).slice(3, -3)],
    ['percent-encoded', encodeURIComponent(secret)],
    ['as a form', new URLSearchParams({ s: secret }).toString().slice(2)],
    ['as HTML', secret.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')],
  ])
  bytesBehind(secret).forEach((bytes, index) => {
    const of = index === 0 ? '' : ' of the bytes behind it'
    forms.set(`hex${of}`, bytes.toString('hex'))
    forms.set(`base64${of}`, bytes.toString('base64').replace(/=+$/, ''))
    forms.set(`base64url${of}`, bytes.toString('base64url'))
  })
  return forms
}

/** The names of the `texts` that contain `planted`. */
export function search(planted: readonly Planted[], texts: ReadonlyMap<string, string>): readonly Found[] {
  const found: Found[] = []
  for (const [where, text] of texts) {
    const lower = text.toLowerCase()
    for (const { what, secret, mailed } of planted) {
      if (mailed && where.startsWith('letter')) continue
      for (const [form, value] of formsOf(secret)) {
        // Hex may be in either case.
        const at = form.startsWith('hex') ? lower.indexOf(value) : text.indexOf(value)
        if (at < 0) continue
        found.push({ what, where, form, excerpt: text.slice(Math.max(0, at - 60), at + 20) })
      }
    }
  }
  return found
}

/** Every row of every table as text, with bytes in hex, as a thief of the database would have them. One text per table. */
export async function dump(connection: Connection): Promise<ReadonlyMap<string, string>> {
  const client = new pg.Client({ ...connection, user: 'postgres' })
  await client.connect()
  try {
    const tables = await client.query<{ name: string }>(
      `select quote_ident(tablename) as name from pg_tables where schemaname = 'public' order by 1`,
    )
    const texts = new Map<string, string>()
    for (const { name } of tables.rows) {
      // As JSON too, because PostgreSQL's text form of a row doubles quotes.
      const rows = await client.query<{ row: string; json: string }>(
        `select t::text as row, to_json(t)::text as json from ${name} t`,
      )
      texts.set(`table ${name}`, rows.rows.map(({ row, json }) => `${row}\n${json}`).join('\n'))
    }
    return texts
  } finally {
    await client.end()
  }
}
