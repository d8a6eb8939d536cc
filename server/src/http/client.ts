import type { FastifyInstance } from 'fastify'
import { createBoundedMap } from '../platform/bounded-map.ts'
import { clientAddress, type NetworkMatcher, networkOf } from '../platform/network-address.ts'

/** Where a call came from. */
export interface Client {
  /** The caller's address, not that of a trusted proxy, in canonical form. */
  readonly address: string
  /** What counts as one caller when nothing else is known: the IPv4 address, or the IPv6 /64. */
  readonly network: string
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Use this, not `ip`: each address has one spelling, and callers cannot choose it. */
    readonly client: Client
  }
}

/** As many callers as are likely to be busy at once; each entry takes about 300 bytes. */
const maxRemembered = 10_000

/** Sets `client` on requests. X-Forwarded-For counts only as far as `isTrusted` proxies wrote it. */
export function registerClient(app: FastifyInstance, isTrusted: NetworkMatcher): void {
  const remembered = createBoundedMap<string, Client>(maxRemembered)
  const clientOf = (peer: string | undefined, forwardedFor: string | undefined): Client => {
    const key = forwardedFor === undefined ? (peer ?? '') : `${peer} ${forwardedFor}`
    const known = remembered.get(key)
    if (known !== undefined) return known
    const address = clientAddress(peer, forwardedFor, isTrusted)
    const client = { address, network: networkOf(address) }
    remembered.set(key, client)
    return client
  }
  app.decorateRequest('client', {
    getter() {
      const { socket, headers } = this.raw
      // Node joins several header lines in their order.
      const forwardedFor = headers['x-forwarded-for']
      return clientOf(socket.remoteAddress, Array.isArray(forwardedFor) ? forwardedFor.join(',') : forwardedFor)
    },
  })
}
