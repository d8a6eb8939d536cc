import { createHook } from 'node:async_hooks'
import type { TestContext } from 'node:test'

interface ConnectRequest {
  readonly address?: string
  readonly port?: number
}

/** What this process has begun to connect to, as `address port`, or a path. */
export interface DialWatch {
  dialled(): readonly string[]
}

/**
 * Watches every connect request that is handed to the operating system, below net, TLS and undici: what a test sees here
 * is what a packet would have been sent for, whatever the code above believes. (The DNS look-ups of c-ares have sockets of
 * their own and are not seen.)
 */
export function watchDials(t: Pick<TestContext, 'after'>): DialWatch {
  const requests: ConnectRequest[] = []
  const hook = createHook({
    init(_id, type, _trigger, resource) {
      // The address is written into the request after its making, before it is handed over.
      if (type === 'TCPCONNECTWRAP' || type === 'PIPECONNECTWRAP') requests.push(resource)
    },
  })
  hook.enable()
  t.after(() => hook.disable())
  return {
    dialled: () => requests.map(({ address, port }) => (port === undefined ? String(address) : `${address} ${port}`)),
  }
}
