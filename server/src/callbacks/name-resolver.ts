import { lookup, Resolver } from 'node:dns/promises'

/** Looks host names up. `cancel` ends the look-ups under way. */
export interface NameResolver {
  /** All addresses of the name, IPv4 first; rejects when there are none or the look-up fails. */
  resolve(hostname: string): Promise<readonly string[]>
  cancel(): void
}

const OS_LOOKUPS_AT_ONCE = 2
const NOT_IN_DNS = new Set(['ENOTFOUND', 'ENODATA', 'ECONNREFUSED'])

/**
 * Names go to the DNS servers directly (c-ares) and only then, or when they have a single label, to the operating
 * system's look-up, which also knows the hosts file and search domains. Not the other way round: the latter holds a
 * thread of the pool of four for as long as a name's servers keep it waiting, so that a few slow names would stop
 * password hashing and file reads. For the same reason at most two of them run at once.
 * `servers`: DNS servers to ask instead of the system's ones.
 */
export function createNameResolver(options: { readonly servers?: readonly string[] } = {}): NameResolver {
  const dns = new Resolver({ timeout: 2_000, tries: 3 })
  if (options.servers) dns.setServers(options.servers)
  const osLookup = atMost(OS_LOOKUPS_AT_ONCE, async (hostname: string) =>
    (await lookup(hostname, { all: true, order: 'ipv4first' })).map((answer) => answer.address),
  )

  async function resolve(hostname: string): Promise<readonly string[]> {
    if (!hostname.includes('.')) return osLookup(hostname)
    const [v4, v6] = await Promise.allSettled([dns.resolve4(hostname), dns.resolve6(hostname)])
    const answers = [v4, v6].flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
    if (answers.length > 0) return answers
    const failures = [v4, v6].flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []))
    if (failures.every((failure) => NOT_IN_DNS.has(failure?.code))) return osLookup(hostname)
    throw failures[0]
  }

  return { resolve, cancel: () => dns.cancel() }
}

function atMost<Input, Output>(limit: number, run: (input: Input) => Promise<Output>): typeof run {
  const waiting: (() => void)[] = []
  let running = 0
  return async (input) => {
    if (running < limit) running += 1
    else await new Promise<void>((start) => waiting.push(start))
    try {
      return await run(input)
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running -= 1
    }
  }
}
