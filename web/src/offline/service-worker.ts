/**
 * Opens the inbox while nothing answers. It keeps the files of one build, which are the same for everybody, and sees no call of
 * a person: what somebody read last is kept by the page (seen.ts). The build puts `build` before this text
 * (build/service-worker.ts).
 */
declare const build: {
  /** Another one for other files. */
  readonly digest: string
  /** What the page of this build names: no other build has it. */
  readonly entry: string
  readonly files: readonly string[]
}

/** What of a service worker's own types is used here; TypeScript has them only where there is no page. */
interface Lasting extends Event {
  readonly waitUntil: (work: Promise<unknown>) => void
}
interface Fetching extends Event {
  readonly request: Request
  readonly respondWith: (reply: Promise<Response>) => void
}
interface Worker {
  readonly registration: { readonly scope: string }
  readonly clients: { readonly claim: () => Promise<void> }
  readonly skipWaiting: () => Promise<void>
  addEventListener(type: 'install' | 'activate', listener: (event: Lasting) => void): void
  addEventListener(type: 'fetch', listener: (event: Fetching) => void): void
}
const worker = self as unknown as Worker

/** PUBLIC_URL, with a slash at its end. */
const root = worker.registration.scope
/** Other installations may be on the same host. */
const named = `hitl-shell ${root} `
const own = named + build.digest
/** A page that does not come within this is shown as it was kept. */
const patienceMs = 5_000

/** The first segments of the addresses that the page draws: `webSegments` of the service (server/test/http/web-app.test.ts). */
const pages = new Set([
  '',
  'inbox',
  'overview',
  'callbacks',
  'audit',
  'settings',
  'sign-in',
  'setup',
  'password',
  'email',
])

worker.addEventListener('install', (event) => event.waitUntil(install()))
worker.addEventListener('activate', (event) => event.waitUntil(activate()))
worker.addEventListener('fetch', (event) => {
  const { request } = event
  if (request.method !== 'GET' || !request.url.startsWith(root)) return
  const [first = '', name] = request.url.slice(root.length).split(/[?#]/, 1)[0]?.split('/') ?? []
  if (request.mode === 'navigate' && pages.has(first)) event.respondWith(page(request))
  else if (first === 'assets' && name !== undefined) event.respondWith(file(request))
})

/** All of the build or nothing of it: it is kept only where the page that the service has now is of this build. */
async function install(): Promise<void> {
  const cache = await caches.open(own)
  try {
    const reply = await fetch(root, { cache: 'no-cache' })
    if (!(reply.ok && (await reply.clone().text()).includes(build.entry)))
      throw new Error('the page is of another build')
    // One by one, because nobody waits for them and somebody may wait for a request.
    for (const name of build.files) {
      const url = new URL(name, root).href
      const known = await caches.match(url, { ignoreVary: true })
      if (known === undefined) await cache.add(url)
      else await cache.put(url, known)
    }
    await cache.put(root, reply)
  } catch (error) {
    await caches.delete(own)
    throw error
  }
  await worker.skipWaiting()
}

/** The build before stays, because a page of it may be open and will load its own parts; what is older goes. */
async function activate(): Promise<void> {
  const others = (await caches.keys()).filter((name) => name.startsWith(named) && name !== own)
  await Promise.all(others.slice(0, -1).map((name) => caches.delete(name)))
  await worker.clients.claim()
}

/** As the service has it now, else as it was kept. */
async function page(request: Request): Promise<Response> {
  const answered = fetch(request)
  const late = new Promise<null>((resolve) => setTimeout(() => resolve(null), patienceMs))
  const reply = await Promise.race([answered, late]).catch(() => null)
  // What stands before the service has a page of its own for a service that is away.
  if (reply !== null && reply.status < 500) return reply
  const kept = await (await caches.open(own)).match(root, { ignoreVary: true })
  return kept ?? reply ?? answered
}

/** A name contains a hash of the contents, so whichever build it was kept with, it is the file that the page means. */
async function file(request: Request): Promise<Response> {
  return (await caches.match(request, { ignoreVary: true })) ?? fetch(request)
}
