import { readFileSync } from 'node:fs'
import pg from 'pg'
import { isThisMachine } from '../network-address.ts'

/** How the connection to the database is protected. `unverified`: encrypted, but the server is not authenticated. */
export type DatabaseTransport = 'local' | 'plain' | 'unverified' | 'verified'

/**
 * The driver's options. With a CA file, the certificate and host name are verified against that authority, whatever the URL
 * says: the driver would prefer the URL's TLS options to ours, so they are removed from it.
 */
export function databaseConnection(url: string, caFile: string | null): pg.ClientConfig {
  if (caFile === null) return { connectionString: url }
  const given = new URL(url).searchParams
  const [cert, key] = ['sslcert', 'sslkey'].map((name) => given.get(name))
  const ssl = {
    ca: readFileSync(caFile, 'utf8'),
    rejectUnauthorized: true,
    ...(cert == null ? {} : { cert: readFileSync(cert, 'utf8') }),
    ...(key == null ? {} : { key: readFileSync(key, 'utf8') }),
  }
  return { connectionString: withoutTlsOptions(url), ssl }
}

/** Judged by how the driver itself reads the URL and its environment (PGSSLMODE). Throws when the driver cannot read them. */
export function databaseTransport(url: string, caFile: string | null): DatabaseTransport {
  // Does not connect. Its types lack the fields that are read here.
  const client = new pg.Client({ connectionString: caFile === null ? url : withoutTlsOptions(url) })
  const { host, ssl } = (client as unknown as { readonly connectionParameters: Parameters }).connectionParameters
  if (host.startsWith('/') || isThisMachine(host)) return 'local'
  if (caFile !== null || ssl === true) return 'verified'
  if (typeof ssl !== 'object') return 'plain'
  // libpq's `require` and `verify-ca` accept a certificate with any name.
  return ssl.rejectUnauthorized === false || ssl.checkServerIdentity !== undefined ? 'unverified' : 'verified'
}

interface Parameters {
  readonly host: string
  readonly ssl: boolean | string | { readonly rejectUnauthorized?: boolean; readonly checkServerIdentity?: unknown }
}

function withoutTlsOptions(url: string): string {
  const plain = new URL(url)
  for (const name of [...plain.searchParams.keys()]) {
    // This option is about how TLS begins, not whether it is verified.
    if ((name.startsWith('ssl') && name !== 'sslnegotiation') || name === 'uselibpqcompat') {
      plain.searchParams.delete(name)
    }
  }
  return plain.href
}
