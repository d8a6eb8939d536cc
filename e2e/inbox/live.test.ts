import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { eventually } from '../../server/test/eventually.ts'
import { request } from '../../server/test/service-process.ts'
import { admin, type Installation, openPage, signIn, startBrowser, startInstallation } from './browser.ts'

let at: Installation
let browser: Browser
before(async () => {
  ;[at, browser] = await Promise.all([startInstallation(), startBrowser()])
})
after(async () => {
  await browser?.close()
  await at?.stop()
})

let number = 0
const title = (what: string): string => {
  number += 1
  return `${what} ${number}`
}
const ask = (name: string, body = {}) => at.ask({ title: name, risk: 'low', context: {}, ...body })
const state = (page: Page, word: string) => page.getByText(word, { exact: true }).waitFor()

describe('an open inbox', () => {
  test('shows a new request within 300 ms, and the numbers beside the queues follow', async () => {
    const { page, troubles, close } = await openPage(browser, at.url)
    await signIn(page, at.url)
    await state(page, 'Live')
    const before = Number((await page.getByRole('link', { name: /^Open/ }).locator('span').allTextContents())[0] ?? 0)
    let asked = 0
    /** A machine that is busy may take longer: once more. */
    await eventually('a request within 300 ms of the reply', async () => {
      const name = title('Restart the worker')
      // In the clock of this machine, which is that of the page.
      const seenAt = page.evaluate(`new Promise((resolve) => {
        const look = () => document.querySelector('main').textContent.includes('${name}') && resolve(Date.now())
        new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true })
      })`)
      await ask(name)
      asked += 1
      const repliedAt = Date.now()
      return Number(await seenAt) - repliedAt <= 300
    })
    await page.getByRole('link', { name: `Open ${before + asked}` }).waitFor()
    assert.deepEqual(troubles, [])
    await close()
  })

  test('finds requests as one types, marks the words, keeps the search in its address, and says where it looked', async () => {
    const { page, troubles, close } = await openPage(browser, at.url)
    await signIn(page, at.url)
    const name = title('Wombat transfer')
    await ask(name, { description: 'Because <b>quokkas</b> moved' })
    await page.getByText(name).first().waitFor()
    await page.keyboard.press('/')
    const box = page.getByRole('searchbox', { name: 'Find a request' })
    await eventually('the request can be found', async () => {
      await box.fill('')
      await box.pressSequentially('quok')
      return page
        .locator('mark', { hasText: 'quokkas' })
        .waitFor({ timeout: 1_000 })
        .then(
          () => true,
          () => false,
        )
    })
    assert.match(page.url(), /[?&]q=quok/)
    await page.getByText('Because <b>quokkas</b> moved').first().waitFor()
    await box.press('Enter')
    await page.waitForURL(/\/inbox\/all\/[0-9a-f-]+\?q=quok/)
    await page.reload()
    await page.locator('mark', { hasText: 'quokkas' }).waitFor()
    await box.fill('nosuchword')
    await page.getByText('contains these words').waitFor()
    await page.getByRole('link', { name: 'Search all requests' }).click()
    await page.waitForURL(/\/inbox\/latest\?q=nosuchword/)
    await box.press('Escape')
    await page.locator('mark').waitFor({ state: 'detached' })
    await page.getByText(name).first().waitFor()
    assert.doesNotMatch(page.url(), /q=/)
    assert.deepEqual(troubles, [])
    await close()
  })

  test('asks every few seconds when the stream is refused, and says so', async () => {
    const { page, close } = await openPage(browser, at.url)
    await page.route('**/api/v1/stream', (route) => route.fulfill({ status: 503, body: '' }))
    await signIn(page, at.url)
    await state(page, 'Updated every few seconds')
    const name = title('Rotate the key')
    await ask(name)
    await page.getByText(name).first().waitFor()
    await close()
  })

  test('says when the service does not answer, and goes on by itself with what it missed', async () => {
    const { page, close } = await openPage(browser, at.url)
    await signIn(page, at.url)
    await state(page, 'Live')
    await page.context().setOffline(true)
    page.setDefaultTimeout(30_000)
    // A part of the page that cannot be loaded now does not take along what is shown.
    await page.evaluate("dispatchEvent(new Event('vite:preloadError'))")
    await page.evaluate("dispatchEvent(new Event('online'))")
    await state(page, 'Not connected')
    const name = title('Resize the disk')
    await ask(name)
    await page.context().setOffline(false)
    await page.getByText(name).first().waitFor()
    await state(page, 'Live')
    await close()
  })

  test('reads its lists again when more was missed than is read one by one', async () => {
    const { page, close } = await openPage(browser, at.url)
    await signIn(page, at.url)
    await page.goto(`${at.url}/inbox/latest`)
    await state(page, 'Live')
    await page.context().setOffline(true)
    const name = title('Archive the mailbox')
    for (let batch = 0; batch < 6; batch += 1) {
      const requests = Array.from({ length: 100 }, (_, each) => ({ title: `${name} of ${batch} ${each}`, context: {} }))
      const reply = await request(at.url, 'POST', '/api/v1/requests/batch', { as: at.apiKey, body: { requests } })
      assert.equal(reply.status, 201)
    }
    await page.context().setOffline(false)
    await page.evaluate("dispatchEvent(new Event('online'))")
    await page.getByText(`${name} of 5`).first().waitFor()
    await close()
  })
})

describe('several people', () => {
  // Of oneself nothing is told. A name is isolated, for its direction.
  const line = (page: Page) =>
    page.getByRole('status').filter({ hasText: /^\u2068Ada Admin\u2069 is looking at this$/ })

  test('see who else looks at a request, in the list and beside the card, until that person leaves it', async () => {
    const name = title('Move the database')
    // The most urgent one is drawn, however long the list is.
    const id = await ask(name, { timeout_minutes: 3 })
    const [one, other] = [await openPage(browser, at.url), await openPage(browser, at.url)]
    await signIn(one.page, at.url)
    await one.page.goto(`${at.url}/inbox/all/${id}`)
    await state(one.page, 'Live')
    await one.page.getByRole('link', { name }).waitFor()
    assert.equal(await line(one.page).count(), 0)
    await signIn(other.page, at.url, admin)
    await other.page.goto(`${at.url}/inbox/all/${id}`)
    await line(one.page).waitFor()
    await one.page.getByRole('link', { name }).filter({ hasText: 'is looking at this' }).waitFor()
    // A tab that comes later is told as well.
    const later = await one.page.context().newPage()
    await later.goto(`${at.url}/inbox/all/${id}`)
    await line(later).waitFor()
    await other.page.getByRole('link', { name: 'Overview' }).click()
    await line(one.page).waitFor({ state: 'detached' })
    assert.deepEqual([...one.troubles, ...other.troubles], [])
    await one.close()
    await other.close()
  })
})

describe('several tabs', () => {
  test('share one stream, and the next one goes on when the tab that has it is closed', async () => {
    const { page: first, close } = await openPage(browser, at.url)
    const open = new Set<unknown>()
    first.context().on('request', (call) => call.url().endsWith('/api/v1/stream') && open.add(call))
    await signIn(first, at.url)
    await state(first, 'Live')
    const second = await first.context().newPage()
    await second.goto(`${at.url}/inbox/all`)
    await state(second, 'Live')
    const [one, two] = [title('Merge'), title('Merge')]
    // The most urgent ones are drawn, however long the list is.
    await ask(one, { timeout_minutes: 2 })
    await second.getByText(one).first().waitFor()
    assert.equal(open.size, 1)
    await first.close()
    await eventually('the second tab has a stream', () => open.size === 2)
    await ask(two, { timeout_minutes: 1 })
    await second.getByText(two).first().waitFor()
    await close()
  })
})
