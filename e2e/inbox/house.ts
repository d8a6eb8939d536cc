import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { eventually } from '../../server/test/eventually.ts'
import { type MailRelay, startMailRelay } from '../../server/test/platform/mail-relay.ts'
import { freePort } from '../../server/test/receivers.ts'
import { externalDatabase, startService } from '../../server/test/service-process.ts'
import { openPage, startBrowser, type Watched } from './browser.ts'

export const owner = { name: 'Olga Owner', email: 'olga@example.com', password: 'a long walk home' }

/** An installation at its first start, with mail, and a browser. On `localhost`, because an address of numbers has no passkeys. */
export interface House {
  readonly url: string
  /** What the start printed. */
  readonly setupLink: string
  readonly relay: MailRelay
  readonly browser: Browser
  /** A page in a browser profile of its own. */
  readonly open: (options?: Parameters<typeof openPage>[2]) => Promise<Watched>
  readonly stop: () => Promise<void>
}

export async function startHouse(environment: Readonly<Record<string, string>> = {}): Promise<House> {
  const folder = await mkdtemp(join(tmpdir(), 'hitl-house-'))
  const [database, relay, browser] = await Promise.all([externalDatabase(), startMailRelay(), startBrowser()])
  const port = String(await freePort())
  const url = `http://localhost:${port}`
  const service = startService({
    cwd: folder,
    environment: {
      ...database.environment,
      DATA_DIR: folder,
      PORT: port,
      PUBLIC_URL: url,
      SMTP_URL: `smtp://127.0.0.1:${relay.port}`,
      MAIL_FROM: 'hitl@example.com',
      SSO_ALLOW: '127.0.0.0/8',
      RATE_LIMIT_KEY: '100000/60',
      RATE_LIMIT_IP: '100000/60',
      ...environment,
    },
  })
  const stop = async (): Promise<void> => {
    await browser.close()
    await service.end('SIGTERM')
    await database.drop()
    await relay.close()
    await rm(folder, { recursive: true, force: true })
  }
  const open: House['open'] = async (options) => {
    const watched = await openPage(browser, url, options)
    // A letter, or a password that is hashed, takes a while on a busy machine.
    watched.page.setDefaultTimeout(40_000)
    return watched
  }
  const setupLink = await eventually(
    'the set-up link is shown',
    () => /http\S+\/setup#\S+/.exec(service.stdout)?.[0] ?? null,
  )
  return { url, setupLink, relay, browser, open, stop }
}

/** Through the set-up link, to the inbox. */
export async function setUp(page: Page, { setupLink }: Pick<House, 'setupLink'>, who = owner): Promise<void> {
  await page.goto(setupLink)
  await fillSetUp(page, who)
}

export async function fillSetUp(page: Page, who = owner): Promise<void> {
  await page.getByLabel('Name').fill(who.name)
  await page.getByLabel('Email').fill(who.email)
  await page.getByLabel(/^New password/).fill(who.password)
  await page.getByRole('button', { name: 'Create the account' }).click()
  await page.waitForURL(/\/inbox\//)
}

/** A device that holds passkeys and says yes, over Chromium's DevTools protocol. */
export async function addAuthenticator(page: Page): Promise<void> {
  const devtools = await page.context().newCDPSession(page)
  await devtools.send('WebAuthn.enable')
  await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  })
}

/** The link of the last letter to this address with this subject. */
export async function linkOf(
  { relay }: Pick<House, 'relay'>,
  address: string,
  subject: string,
  count = 1,
): Promise<string> {
  const letters = await relay.lettersTo(address, subject, count)
  const link = /http\S+#\S+/.exec(letters.at(-1)?.text ?? '')?.[0]
  if (link === undefined) throw new Error(`no link in ${letters.at(-1)?.text}`)
  return link
}
