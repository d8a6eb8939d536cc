import { createHook } from 'node:async_hooks'
import type { TestContext } from 'node:test'

interface ConnectRequest {
  readonly address?: string
  readonly port?: number
}

/** What this process tried to connect to, as `address port` or a path. */
export interface DialWatch {
  dialled(): readonly string[]
}

/**
 * Watches every connect request that is passed to the operating system, below net, TLS and undici: for what a test sees here, a
 * packet would have been sent. (The DNS look-ups of c-ares use sockets of their own and are not seen.)
 */
export function watchDials(t: Pick<TestContext, 'after'>): DialWatch {
  const requests: ConnectRequest[] = []
  const hook = createHook({
    init(_id, type, _trigger, resource) {
      // The address is set on the request after it is created and before it is passed on.
      if (type === 'TCPCONNECTWRAP' || type === 'PIPECONNECTWRAP') requests.push(resource)
    },
  })
  hook.enable()
  t.after(() => hook.disable())
  return {
    dialled: () => requests.map(({ address, port }) => (port === undefined ? String(address) : `${address} ${port}`)),
  }
}
