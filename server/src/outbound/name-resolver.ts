import { lookup, Resolver } from 'node:dns/promises'

/**
 * All addresses of the name, IPv4 first; rejects when there are none or the look-up fails. A look-up that has not begun
 * when `signal` aborts is left out.
 */
export type Resolve = (hostname: string, signal?: AbortSignal) => Promise<readonly string[]>

/** Looks host names up. `cancel` ends the look-ups under way. */
export interface NameResolver {
  readonly resolve: Resolve
  cancel(): void
}

export interface NameResolverOptions {
  /** DNS servers to ask instead of the system's ones. */
  readonly servers?: readonly string[]
  /** Whether the operator of this service has named the host: its look-ups do not wait for other people's. */
  readonly isOperators?: (hostname: string) => boolean
  /** What stands in for the operating system's look-up. */
  readonly systemLookup?: (hostname: string) => Promise<readonly string[]>
}

const notInDns = new Set(['ENOTFOUND', 'ENODATA', 'ECONNREFUSED'])

/**
 * Names go to the DNS servers directly (c-ares) and only then, or when they have a single label, to the operating
 * system's look-up, which also knows the hosts file and search domains. Not the other way round: the latter holds a
 * thread of the pool of four for as long as a name's servers keep it waiting, so that a few slow names would stop
 * password hashing and file reads. For the same reason they run one at a time, the operator's names and anybody's apart:
 * somebody's name server may deny a name at first and then stay silent about it, for as many names as he likes.
 */
export function createNameResolver(options: NameResolverOptions = {}): NameResolver {
  const dns = new Resolver({ timeout: 2_000, tries: 3 })
  if (options.servers) dns.setServers(options.servers)
  const systemLookup = options.systemLookup ?? askSystem
  const lookUpOperators = oneAtATime(systemLookup)
  const lookUpOther = oneAtATime(systemLookup)

  const askOutsideDns: Resolve = (hostname, signal) =>
    (options.isOperators?.(hostname) ? lookUpOperators : lookUpOther)(hostname, signal)

  const resolve: Resolve = async (hostname, signal) => {
    if (!hostname.includes('.')) return askOutsideDns(hostname, signal)
    const [v4, v6] = await Promise.allSettled([dns.resolve4(hostname), dns.resolve6(hostname)])
    const answers = [v4, v6].flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
    if (answers.length > 0) return answers
    const failures = [v4, v6].flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []))
    if (failures.every((failure) => notInDns.has(failure?.code))) return askOutsideDns(hostname, signal)
    throw failures[0]
  }

  return { resolve, cancel: () => dns.cancel() }
}

async function askSystem(hostname: string): Promise<readonly string[]> {
  return (await lookup(hostname, { all: true, order: 'ipv4first' })).map((answer) => answer.address)
}

function oneAtATime(run: (hostname: string) => Promise<readonly string[]>): Resolve {
  let last: Promise<unknown> = Promise.resolve()
  return (hostname, signal) => {
    const result = last.then(() => {
      signal?.throwIfAborted()
      return run(hostname)
    })
    last = result.catch(() => {})
    return result
  }
}
