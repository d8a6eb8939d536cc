import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { eventually } from '../../server/test/eventually.ts'
import { freePort } from '../../server/test/receivers.ts'
import { externalDatabase, request, startService } from '../../server/test/service-process.ts'

/** Debian's, because a browser that a package downloads is not in its registry. */
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'

export const startBrowser = (): Promise<Browser> =>
  // The sandbox needs rights that containers do not have; it shows nothing but our own pages.
  chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] })

/** In a page: until what was last drawn is on the screen, and what is done after that is done. */
export const painted = 'new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))'

export const reviewer = { email: 'reviewer@example.com', password: 'password123' }
export const admin = { email: 'admin@example.com', password: 'password123' }

export type Ask = (body: Readonly<Record<string, unknown>>) => Promise<string>

export interface Installation {
  readonly url: string
  readonly apiKey: string
  /** Creates a request as the sample agent, and returns its id. */
  readonly ask: Ask
  /** The access token of a sample account. */
  readonly tokenOf: (who: { readonly email: string; readonly password: string }) => Promise<string>
  readonly sql: (query: string, values?: readonly unknown[]) => Promise<unknown>
  readonly stop: () => Promise<void>
}

/** A real service with the sample accounts, and without the sample requests being in the way: they are withdrawn. */
export async function startInstallation(own: Readonly<Record<string, string>> = {}): Promise<Installation> {
  const folder = await mkdtemp(join(tmpdir(), 'hitl-inbox-'))
  const database = await externalDatabase()
  const url = `http://127.0.0.1:${await freePort()}`
  const service = startService({
    cwd: folder,
    environment: {
      ...database.environment,
      DATA_DIR: folder,
      PORT: new URL(url).port,
      PUBLIC_URL: url,
      DEMO: 'true',
      RATE_LIMIT_KEY: '100000/60',
      RATE_LIMIT_IP: '100000/60',
      ...own,
    },
  })
  const stop = async (): Promise<void> => {
    await service.end('SIGTERM')
    await database.drop()
    await rm(folder, { recursive: true, force: true })
  }
  const keyShown = eventually('the sample API key is shown', () => /hitl_\S+/.exec(service.stdout)?.[0] ?? null)
  // Otherwise the test file would wait for a service that nobody can stop.
  const apiKey = await keyShown.catch(async (error: unknown) => {
    await stop()
    throw error
  })
  const ask: Ask = async (body) => {
    const reply = await request(url, 'POST', '/api/v1/requests', { as: apiKey, body })
    assert.equal(reply.status, 201, JSON.stringify(reply.body))
    return reply.body.id
  }
  const tokenOf: Installation['tokenOf'] = async ({ email, password }) => {
    const body = { username: email, password }
    return (await request(url, 'POST', '/api/v1/auth/login', { body })).body.access_token
  }
  await withdrawSamples(url, await tokenOf(admin))
  return { url, apiKey, ask, tokenOf, sql: database.sql, stop }
}

/** Each agent withdraws its own, with a key that is for nothing else. */
async function withdrawSamples(url: string, as: string): Promise<void> {
  const call = async (method: string, path: string, key: string, body?: unknown) => {
    const reply = await request(url, method, `/api/v1${path}`, { as: key, ...(body === undefined ? {} : { body }) })
    assert.ok(reply.status < 300, JSON.stringify(reply.body))
    return reply.body
  }
  for (const { id: agent_id } of (await call('GET', '/agents', as)).items) {
    const { id, key } = await call('POST', '/api-keys', as, { name: 'withdrawing', agent_id })
    for (const { id: pending } of (await call('GET', '/requests?state=pending&limit=100', key)).items) {
      await call('POST', `/requests/${pending}/cancel`, key)
    }
    await call('PATCH', `/api-keys/${id}`, as, { is_active: false })
  }
}

export interface Watched {
  readonly page: Page
  /** What must not happen on any page: violations of the policy, errors of scripts, calls to another origin. */
  readonly troubles: string[]
  readonly close: () => Promise<void>
}

/** A page in a browser profile of its own; without a service worker, past which a test could not change a reply. */
export async function openPage(
  browser: Browser,
  origin: string,
  options: BrowserContextOptions = {},
): Promise<Watched> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    locale: 'en-GB',
    serviceWorkers: 'block',
    ...options,
  })
  const page = await context.newPage()
  page.setDefaultTimeout(10_000)
  // A person presses a key at what they see, and the page takes keys for what it has painted.
  const press = page.keyboard.press.bind(page.keyboard)
  page.keyboard.press = async (...key) => {
    await page.evaluate(painted).catch(() => {})
    await press(...key)
  }
  const troubles: string[] = []
  page.on('pageerror', (error) => troubles.push(`script: ${error.message}`))
  page.on('console', (message) => {
    if (/Content Security Policy|Refused to|violates/i.test(message.text())) troubles.push(message.text())
  })
  page.on('request', (call) => {
    const { protocol, origin: to } = new URL(call.url())
    if (/^https?:$/.test(protocol) && to !== new URL(origin).origin) troubles.push(`call to ${to}`)
  })
  return { page, troubles, close: () => context.close() }
}

export async function signIn(page: Page, url: string, who = reviewer, to = '/'): Promise<void> {
  await page.goto(`${url}${to}`)
  await page.getByLabel('Email').fill(who.email)
  await page.getByLabel('Password').fill(who.password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await page.waitForURL(/\/inbox\//)
}
