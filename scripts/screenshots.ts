// Makes the pictures of docs/screenshots from a new installation with the sample data: `npm run screenshots`. Needs Chromium.
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { openPage, reviewer, signIn, startBrowser } from '../e2e/inbox/browser.ts'
import { freePort } from '../server/test/receivers.ts'
import { login, request, startService, untilReady } from '../server/test/service-process.ts'

const folder = join(import.meta.dirname, '../docs/screenshots')
const desk = { width: 1280, height: 800 }
const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }

/** Each picture: where, of what, and what is done before. */
const pictures: readonly {
  readonly name: string
  readonly title?: string
  readonly path?: string
  readonly options?: BrowserContextOptions
  readonly before?: (page: Page) => Promise<unknown>
}[] = [
  { name: 'inbox', title: 'Refund 640.00 EUR to order 4711?' },
  { name: 'dark', title: 'Refund 640.00 EUR to order 4711?', options: { colorScheme: 'dark' } },
  { name: 'choices', title: 'Which migration window suits the warehouse?' },
  { name: 'several', title: 'Which of these reviews may be published?' },
  { name: 'ranking', title: 'Rank the three best headlines of the spring sale' },
  { name: 'form', title: 'When does the team meet in Lisbon, and what may it cost?' },
  { name: 'mail', title: 'Mail Dana Schmidt about the delay of order 812?' },
  {
    name: 'edited-arguments',
    title: 'Mail Dana Schmidt about the delay of order 812?',
    before: async (page) => {
      await page.keyboard.press('e')
      const subject = page.getByLabel('Subject')
      await subject.fill(`${await subject.inputValue()} (3 days)`)
    },
  },
  { name: 'diff', title: 'Merge PR 512: time out calls to the payment provider' },
  { name: 'table', title: 'Import these 4 products into the catalogue?' },
  { name: 'files', title: 'Which delivery note belongs to order 790?' },
  { name: 'palette', before: (page) => page.keyboard.press('Control+k') },
  { name: 'overview', path: '/overview' },
  { name: 'phone', options: phone },
  { name: 'phone-card', title: 'Refund 640.00 EUR to order 4711?', options: phone },
  { name: 'arabic', title: 'Refund 640.00 EUR to order 4711?', options: { locale: 'ar' } },
]

const dataDir = await mkdtemp(join(tmpdir(), 'hitl-screenshots-'))
const url = `http://127.0.0.1:${await freePort()}`
const environment = { DATA_DIR: dataDir, PORT: new URL(url).port, PUBLIC_URL: url, DEMO: 'true', DATABASE_URL: '' }
const service = startService({ cwd: dataDir, environment })
const browser = await startBrowser()
try {
  await untilReady(service, url)
  await mkdir(folder, { recursive: true })
  for (const { name, title, path, options = {}, before } of pictures) {
    const { page, close } = await openPage(browser, url, { viewport: desk, reducedMotion: 'reduce', ...options })
    if (options.locale === undefined) await signIn(page, url, reviewer)
    else await signInAbroad(page)
    if (path !== undefined) await page.goto(url + path)
    if (title !== undefined) {
      await page.goto(`${url}/inbox/all/${await idOf(title)}`)
      await page.locator('#card-title').getByText(title).waitFor()
    }
    await page.getByRole('main').waitFor()
    await page.locator('[aria-busy=true]').first().waitFor({ state: 'detached' })
    await before?.(page)
    await page.evaluate('document.fonts.ready')
    await page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled', caret: 'hide' })
    process.stdout.write(`${name}.png\n`)
    await close()
  }
} finally {
  await browser.close()
  await service.end('SIGTERM')
  await rm(dataDir, { recursive: true, force: true })
}

async function idOf(title: string): Promise<string> {
  const as = await login(url, reviewer.email, reviewer.password)
  const { body } = await request(url, 'GET', '/api/v1/requests?limit=100', { as })
  const found = body.items.find((one: { readonly title: string }) => one.title === title)
  if (found === undefined) throw new Error(`No sample request has the title: ${title}`)
  return found.id
}

/** Where the words are of another language, by what the fields are. */
async function signInAbroad(page: Page): Promise<void> {
  await page.goto(url)
  await page.locator('input[type=email]').fill(reviewer.email)
  await page.locator('input[type=password]').fill(reviewer.password)
  await page.keyboard.press('Enter')
  await page.waitForURL(/\/inbox\//)
}
