import { lookup, Resolver } from 'node:dns/promises'

/**
 * All addresses of the name, IPv4 first; rejects when there are none or the look-up fails. A look-up that has not begun
 * when `signal` aborts is left out.
 */
export type Resolve = (hostname: string, signal?: AbortSignal) => Promise<readonly string[]>

export interface NameResolverOptions {
  /** DNS servers to ask instead of the system's. */
  readonly servers?: readonly string[]
  /** Whether the operator of this service has named the host: its look-ups do not wait for those of other hosts. */
  readonly isOperators?: (hostname: string) => boolean
  /** Replaces the operating system's look-up. */
  readonly systemLookup?: (hostname: string) => Promise<readonly string[]>
}

const notInDns = new Set(['ENOTFOUND', 'ENODATA', 'ECONNREFUSED'])

/**
 * Names go to the DNS servers directly (c-ares) and only then, or when they have a single label, to the operating
 * system's look-up, which also knows the hosts file and search domains. Not the other way round: the latter occupies one
 * of the pool's four threads for as long as a name's servers are silent, so a few slow names would stop password hashing
 * and file reads. For the same reason these look-ups run one at a time, the operator's names in a queue of their own: a
 * hostile name server may deny a name first and then stay silent, for as many names as it likes.
 */
export function createNameResolver(options: NameResolverOptions = {}) {
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

  return {
    resolve,
    /** Ends the look-ups under way. */
    cancel: () => dns.cancel(),
  }
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
