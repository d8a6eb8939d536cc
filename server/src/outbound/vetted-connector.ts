import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net'
import { connect as connectTls, createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import type { buildConnector } from 'undici'
import { allowsName } from './allow-list.ts'
import { skipInformational } from './informational-replies.ts'
import { createNameResolver, type Resolve } from './name-resolver.ts'
import { refusalOfAddress, type TargetRules } from './target-guard.ts'
import { errorOf, stopped } from './transport-errors.ts'

// A name with hundreds of addresses must not turn one call into a scan of them.
const addressesTried = 8

export interface ConnectorOptions {
  readonly rules: TargetRules
  readonly timeoutMs: number
  /** Replaces the look-up of names. */
  readonly resolve?: Resolve
  /** PEM of one more trusted certificate authority */
  readonly ca?: string
}

/**
 * Opens sockets only to addresses that `refusalOfAddress` lets pass. A host name is resolved once per connection, as the
 * socket's own `lookup`: the addresses that were checked are the ones dialled, so no second DNS reply can slip in
 * between (DNS rebinding). One refused address among several refuses the name. Literal addresses skip the look-up and are
 * checked here.
 *
 * TLS is strict whatever NODE_TLS_REJECT_UNAUTHORIZED says, and sessions are never resumed: the certificate is checked in
 * full for every connection.
 */
export function createVettedConnector({ rules, timeoutMs, ...options }: ConnectorOptions) {
  // Each connector has its own resolver: no kind of call waits for the slow names of another.
  const names = createNameResolver({ isOperators: (hostname) => allowsName(rules.allow, hostname, null) })
  const resolve = options.resolve ?? names.resolve
  const sockets = new Set<Socket>()
  const reusedEnds = new WeakSet<Error>()
  const secureContext = trustingContext(options.ca)

  let isClosed = false

  /** Connects to an origin, for undici. */
  const connect: buildConnector.connector = ({ hostname, protocol, port: portText }, callback) => {
    if (isClosed) return callback(errorOf(stopped), null)
    const isTls = protocol === 'https:'
    const port = Number(portText || (isTls ? 443 : 80))
    const refusal = isIP(hostname) === 0 ? null : refusalOfAddress(hostname, hostname, port, rules)
    if (refusal !== null) return callback(errorOf({ code: 'target_refused', message: refusal }), null)
    const over = new AbortController()
    const dial = {
      host: hostname,
      port,
      lookup: vettedLookup((name) => resolve(name, over.signal), rules, port),
      autoSelectFamily: true,
      noDelay: true,
      keepAlive: true,
    }
    const socket = isTls ? connectTls({ ...dial, ...strictTls(hostname, secureContext) }) : connectTcp(dial)
    sockets.add(socket)
    const deadline = setTimeout(() => {
      socket.destroy(errorOf({ code: 'timeout', message: `No connection was made within ${timeoutMs} ms.` }))
    }, timeoutMs)

    const fail = (error: Error) => callback(error, null)
    socket.once('error', fail)
    socket.once('close', () => {
      clearTimeout(deadline)
      over.abort()
      sockets.delete(socket)
    })
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      clearTimeout(deadline)
      socket.off('error', fail)
      socket.on('error', (error) => {
        if (socket.bytesRead > 0) reusedEnds.add(error)
      })
      skipInformational(socket)
      callback(null, socket)
    })
  }

  /** Destroys every socket, connected or not, and resolves when they are closed. */
  const close = async (): Promise<void> => {
    isClosed = true
    names.cancel()
    const closing = [...sockets].map((socket) => new Promise<void>((closed) => socket.once('close', () => closed())))
    for (const socket of sockets) socket.destroy(errorOf(stopped))
    await Promise.all(closing)
  }

  /** Whether this socket error ended a connection that had worked before: it may have been idle for too long. */
  const endedReusedConnection = (error: Error): boolean => reusedEnds.has(error)

  return { connect, endedReusedConnection, close }
}

function vettedLookup(resolve: Resolve, rules: TargetRules, port: number): LookupFunction {
  return (hostname, _options, callback) => {
    resolveVetted(hostname, port, resolve, rules).then(
      (addresses) =>
        callback(
          null,
          addresses.map((address) => ({ address, family: isIP(address) })),
        ),
      (error) => callback(error, []),
    )
  }
}

async function resolveVetted(
  hostname: string,
  port: number,
  resolve: Resolve,
  rules: TargetRules,
): Promise<readonly string[]> {
  const addresses = await resolve(hostname).catch((error) => {
    throw errorOf({
      code: 'dns',
      message: `The host name ${hostname} could not be resolved (${error?.code ?? 'unknown reason'}).`,
    })
  })
  if (addresses.length === 0) throw errorOf({ code: 'dns', message: `The host name ${hostname} has no address.` })
  for (const address of addresses) {
    const refusal = refusalOfAddress(address, hostname, port, rules)
    if (refusal !== null) throw errorOf({ code: 'target_refused', message: refusal })
  }
  return addresses.slice(0, addressesTried)
}

function strictTls(hostname: string, secureContext: SecureContext | undefined) {
  return {
    // RFC 6066: no address in SNI. The certificate is then checked against `host`.
    ...(isIP(hostname) === 0 ? { servername: hostname } : {}),
    ...(secureContext ? { secureContext } : {}),
    rejectUnauthorized: true,
    ALPNProtocols: ['http/1.1'],
  }
}

// Made once: reading some 150 CA certificates for every connection costs milliseconds.
function trustingContext(ca: string | undefined): SecureContext | undefined {
  return ca === undefined ? undefined : createSecureContext({ ca: [...getCACertificates('default'), ca] })
}
