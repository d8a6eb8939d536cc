import type { FastifyInstance } from 'fastify'
import { createBoundedMap } from '../platform/bounded-map.ts'
import { clientAddress, type NetworkMatcher, networkOf, networksOf } from '../platform/network-address.ts'

/** Where a call came from. */
export interface Client {
  /** The caller's address, not that of a trusted proxy, in canonical form. */
  readonly address: string
  /** What counts as one caller when nothing else is known: the IPv4 address, or the IPv6 /64. */
  readonly network: string
  /** That, and in IPv6 the /56 and the /48 around it. */
  readonly networks: readonly string[]
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Use this, not `ip`: each address has one spelling, and callers cannot choose it. */
    readonly client: Client
  }
}

/** As many callers as are likely to be busy at once; each entry takes about 500 bytes. */
const maxRemembered = 10_000

/** Sets `client` on requests. X-Forwarded-For counts only as far as `isTrusted` proxies wrote it, and is read from them alone. */
export function registerClient(app: FastifyInstance, isTrusted: NetworkMatcher): void {
  const peers = createBoundedMap<string, { readonly client: Client; readonly isProxy: boolean }>(maxRemembered)
  const forwarded = createBoundedMap<string, Client>(maxRemembered)

  const peerOf = (name: string) => {
    const known = peers.get(name)
    if (known !== undefined) return known
    const client = clientOf(clientAddress(name, undefined, isTrusted))
    const peer = { client, isProxy: isTrusted(client.address) }
    peers.set(name, peer)
    return peer
  }

  const forwardedBy = (peer: string, forwardedFor: string): Client => {
    const key = `${peer} ${forwardedFor}`
    const known = forwarded.get(key)
    if (known !== undefined) return known
    const client = clientOf(clientAddress(peer, forwardedFor, isTrusted))
    forwarded.set(key, client)
    return client
  }

  app.decorateRequest('client', {
    getter() {
      const { socket, headers } = this.raw
      const name = socket.remoteAddress ?? ''
      const { client, isProxy } = peerOf(name)
      if (!isProxy) return client
      // Node joins several header lines in their order.
      const forwardedFor = headers['x-forwarded-for']
      if (forwardedFor === undefined) return client
      return forwardedBy(name, Array.isArray(forwardedFor) ? forwardedFor.join(',') : forwardedFor)
    },
  })
}

function clientOf(address: string): Client {
  const network = networkOf(address)
  return { address, network, networks: networksOf(network) }
}
