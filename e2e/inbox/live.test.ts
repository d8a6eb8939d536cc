import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { eventually } from '../../server/test/eventually.ts'
import { request } from '../../server/test/service-process.ts'
import { admin, type Installation, openPage, reviewer, signIn, startBrowser, startInstallation } from './browser.ts'
import { journey } from './journey.ts'

let at: Installation
let browser: Browser
before(async () => {
  // What one process writes reaches the pages that another one serves.
  ;[at, browser] = await Promise.all([startInstallation({ WORKERS: '2' }), startBrowser()])
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
  test('shows a new request by itself, and the numbers beside the queues follow', async () => {
    const { page, troubles, close } = await openPage(browser, at.url)
    await signIn(page, at.url)
    await state(page, 'Live')
    const before = Number((await page.getByRole('link', { name: /^Open/ }).locator('span').allTextContents())[0] ?? 0)
    const name = title('Restart the worker')
    await ask(name)
    await page.getByText(name).first().waitFor()
    await page.getByRole('link', { name: `Open ${before + 1}` }).waitFor()
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
    await page.waitForURL(/[?&]q=quok/)
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

test('with two processes, a person signs in, sees a request come, decides it and signs out', () =>
  journey(browser, at.url, reviewer, at.apiKey))

/** What the browser keeps of what somebody saw. */
const keptText = `indexedDB.databases().then((databases) => databases.length === 0 ? '' : new Promise((resolve, reject) => {
  const opening = indexedDB.open(databases[0].name)
  opening.onerror = reject
  opening.onsuccess = () => {
    const reading = opening.result.transaction('seen').objectStore('seen').getAll()
    reading.onsuccess = () => {
      opening.result.close()
      resolve(JSON.stringify(reading.result))
    }
  }
}))`

describe('without a connection', () => {
  test('what was seen last is there when the page is opened again; nothing is decided, then or later; a sign-out erases it', async () => {
    const name = title('Renew the certificate')
    const body = { timeout_minutes: 3, context: { host: 'db-7.internal' }, justification: 'It ends **today**.' }
    const id = await ask(name, body)
    const { page, troubles, close } = await openPage(browser, at.url, { serviceWorkers: 'allow' })
    page.setDefaultTimeout(20_000)
    const context = page.context()
    const sent: string[] = []
    context.on('request', (call) => {
      if (/\/(?:respond|snooze)$/.test(call.url())) sent.push(call.url())
    })
    await signIn(page, at.url)
    await page.goto(`${at.url}/inbox/all/${id}`)
    await state(page, 'Live')
    await eventually('the page is kept', () => page.evaluate('navigator.serviceWorker.controller !== null'))
    const kept = async () => String(await page.evaluate(keptText))
    await eventually('the request is kept', async () => (await kept()).includes('db-7.internal'))

    await context.setOffline(true)
    await page.reload()
    await page.getByRole('heading', { name }).waitFor()
    await page.getByText('db-7.internal').waitFor()
    await page.getByText('today', { exact: true }).waitFor()
    await page
      .getByText(/^You are not connected. This is what you saw last, at /)
      .first()
      .waitFor()
    await page.getByRole('link', { name }).waitFor()
    await page.keyboard.press('a')
    await page
      .getByText(/nothing can be decided until it is back/)
      .first()
      .waitFor()
    await page.keyboard.press('Control+k')
    await page.getByRole('combobox').waitFor()
    await page.keyboard.press('Escape')
    const meanwhile = title('Renew the other certificate')
    await ask(meanwhile, { timeout_minutes: 2 })

    await context.setOffline(false)
    await page.evaluate("dispatchEvent(new Event('online'))")
    await page.getByRole('link', { name: meanwhile }).waitFor()
    await state(page, 'Live')
    await page
      .getByText(/^You are not connected/)
      .first()
      .waitFor({ state: 'detached' })
    const as = await at.tokenOf(reviewer)
    const { body: after } = await request(at.url, 'GET', `/api/v1/requests/${id}`, { as })
    assert.deepEqual([after.state, after.held_until, sent], ['pending', null, []])

    const other = await context.newPage()
    await other.goto(`${at.url}/inbox/all/${id}`)
    await other.getByRole('heading', { name }).waitFor()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Email').waitFor()
    await other.getByLabel('Email').waitFor()
    await eventually('nothing is kept', async () => (await kept()) === '[]')
    assert.deepEqual(troubles, [])
    await context.setOffline(true)
    await page.goto(`${at.url}/inbox/all/${id}`)
    await page.getByText('The service does not answer. Load the page again once you are connected.').waitFor()
    assert.doesNotMatch(await page.locator('body').innerText(), /certificate/)
    await close()
  })
})
