import { once } from 'node:events'
import { createServer } from 'node:net'
import { type Config, ConfigError } from '../config.ts'

/** Throws what listening would, before the seconds that a start takes. A worker goes without a port that is taken. */
export async function requireFreePort({ HOST, PORT, ROLE }: Config): Promise<void> {
  if (ROLE === 'worker') return
  const probe = createServer().listen({ host: HOST, port: PORT })
  await once(probe, 'listening').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EADDRINUSE' || error.code === 'EACCES') throw error
    throw new ConfigError([
      `HOST is no address of this machine (${error.message}): set it to one, such as 127.0.0.1, or to 0.0.0.0 for all`,
    ])
  })
  probe.close()
  await once(probe, 'close')
}
