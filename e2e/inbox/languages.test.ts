import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { type Installation, openPage, signIn, startBrowser, startInstallation } from './browser.ts'

let at: Installation
let browser: Browser
let id: string
before(async () => {
  ;[at, browser] = await Promise.all([startInstallation(), startBrowser()])
  id = await at.ask({
    title: 'Refund 40.00 EUR to order 812',
    risk: 'high',
    timeout_minutes: 12,
    justification: 'The parcel was lost.',
    action: {
      name: 'mail.send',
      args: { to: 'dana@shop.example', body: 'Dear Dana,\nit comes on Thursday.', n: 1250 },
    },
    presentation: {
      environment: 'production',
      reversible: false,
      consequences: 'The money is gone.',
      hints: { '/action/args/body': { render: 'diff', before: '/context/earlier' } },
    },
    context: { earlier: 'Dear Dana,\nit comes on Friday.', amount: '40.00', url: 'https://shop.example/orders/812' },
  })
  await at.ask({ title: 'استرداد 40.00 EUR للطلبية 812', risk: 'low', context: { note: 'ملاحظة' } })
})
after(async () => {
  await browser?.close()
  await at?.stop()
})

/** What people press or read first, and what would be beyond an edge of the screen. */
const outsideOfScreen = `[...document.querySelectorAll('button, a[href], h1, h2')]
  .filter((each) => each.checkVisibility() && each.closest('[popover]:not(:popover-open)') === null)
  .map((each) => [each.textContent, each.getBoundingClientRect()])
  .filter(([, { left, right, width }]) => width > 1 && (left < -1 || right > innerWidth + 1))
  .map(([text]) => text)`

const root = (page: Page) =>
  page.evaluate('({ lang: document.documentElement.lang, dir: document.documentElement.dir })')

describe('the language', () => {
  test('is that of the browser, where the inbox has it, also before the sign-in', async () => {
    const { page, troubles, close } = await openPage(browser, at.url, { locale: 'de-AT' })
    await page.goto(at.url)
    await page.getByRole('button', { name: 'Anmelden', exact: true }).waitFor()
    assert.deepEqual(await root(page), { lang: 'de', dir: 'ltr' })
    assert.deepEqual(troubles, [])
    await close()
  })

  test('is English where the inbox has none of the browser, and English loads no other', async () => {
    const { page, close } = await openPage(browser, at.url, { locale: 'fr-FR' })
    const loaded: string[] = []
    page.on('request', (call) => loaded.push(new URL(call.url()).pathname))
    await page.goto(at.url)
    await page.getByRole('button', { name: 'Sign in', exact: true }).waitFor()
    assert.deepEqual(await root(page), { lang: 'en', dir: 'ltr' })
    assert.deepEqual(
      loaded.filter((path) => /\/(?:de|ar)-/.test(path)),
      [],
    )
    await close()
  })
})

describe('in Arabic, from right to left', () => {
  let page: Page
  let troubles: string[]
  let close: () => Promise<void>
  before(async () => {
    ;({ page, troubles, close } = await openPage(browser, at.url, { reducedMotion: 'reduce' }))
    await signIn(page, at.url)
    await page.goto(`${at.url}/settings/appearance`)
    await page.getByRole('radio', { name: 'العربية' }).click()
    await page.getByRole('heading', { name: 'الإعدادات' }).waitFor()
  })
  after(() => close())

  test('a language that is chosen stays chosen, and the reader is at the left of the list', async () => {
    await page.goto(`${at.url}/inbox/all/${id}`)
    const title = page.locator('#card-title')
    await title.waitFor()
    assert.deepEqual(await root(page), { lang: 'ar', dir: 'rtl' })
    const [list, card] = [await page.locator('[data-row]').first().boundingBox(), await title.boundingBox()]
    assert.ok(list !== null && card !== null && card.x < list.x)
  })

  test('what an agent wrote keeps its own direction, and the same digits as the text around it', async () => {
    const directionOf = (selector: string): Promise<unknown> =>
      page.evaluate(`getComputedStyle(document.querySelector(${JSON.stringify(selector)})).direction`)
    assert.equal(await directionOf('body'), 'rtl')
    for (const own of ['#card-title bdi', 'section.font-mono', 'a[target=_blank] bdi']) {
      assert.equal(await directionOf(own), 'ltr', own)
    }
    assert.doesNotMatch((await page.locator('body').innerText()).normalize(), /[\u0660-\u0669]/)
  })

  for (const path of ['/inbox/all', '/inbox/all/ID', '/overview', '/settings/profile', '/settings/appearance']) {
    test(`${path} is no wider than the screen, at 1280 and 320 px, and starts at its right`, async () => {
      for (const width of [1280, 320]) {
        await page.setViewportSize({ width, height: 800 })
        await page.goto(at.url + path.replace('ID', id))
        await page.locator('main, [role=main]').first().waitFor()
        await page.locator('[aria-busy=true]').first().waitFor({ state: 'detached' })
        const [inner, whole] = (await page.evaluate('[innerWidth, document.documentElement.scrollWidth]')) as number[]
        assert.ok(Number(whole) <= Number(inner), `${whole} px wide in ${inner} px`)
        const outside = await page.evaluate(outsideOfScreen)
        assert.deepEqual(outside, [])
      }
    })
  }

  test('nothing was refused by the policy, and no script failed', () => assert.deepEqual(troubles, []))
})
