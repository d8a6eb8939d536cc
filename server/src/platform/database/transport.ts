import { readFileSync } from 'node:fs'
import pg from 'pg'
import { isThisMachine } from '../network-address.ts'

/** How the way to the database is protected. `unverified`: encrypted, to whoever answers. */
export type DatabaseTransport = 'local' | 'plain' | 'unverified' | 'verified'

/**
 * What the driver is to be given. With a CA file, that authority, the certificate and the host's name are verified, whatever
 * the URL says: its own TLS options would take precedence over ours in the driver, so none of them stays in it.
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

/** By what the driver itself makes of the URL and its environment (PGSSLMODE). Throws when it can make nothing of them. */
export function databaseTransport(url: string, caFile: string | null): DatabaseTransport {
  // Connects to nothing. Its types do not tell what it has read.
  const client = new pg.Client({ connectionString: caFile === null ? url : withoutTlsOptions(url) })
  const { host, ssl } = (client as unknown as { readonly connectionParameters: Parameters }).connectionParameters
  if (host.startsWith('/') || isThisMachine(host)) return 'local'
  if (caFile !== null || ssl === true) return 'verified'
  if (typeof ssl !== 'object') return 'plain'
  // libpq's `require` and `verify-ca` take a certificate of any name.
  return ssl.rejectUnauthorized === false || ssl.checkServerIdentity !== undefined ? 'unverified' : 'verified'
}

interface Parameters {
  readonly host: string
  readonly ssl: boolean | string | { readonly rejectUnauthorized?: boolean; readonly checkServerIdentity?: unknown }
}

function withoutTlsOptions(url: string): string {
  const plain = new URL(url)
  for (const name of [...plain.searchParams.keys()]) {
    // How TLS begins is not whether it is verified.
    if ((name.startsWith('ssl') && name !== 'sslnegotiation') || name === 'uselibpqcompat') {
      plain.searchParams.delete(name)
    }
  }
  return plain.href
}
