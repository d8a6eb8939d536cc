import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { flaws } from './axe.ts'
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
    action: { name: 'refunds.create', args: { order: 812, lines: [{ sku: 'a', n: 1 }] } },
    presentation: { environment: 'production', reversible: false, consequences: 'The money is gone.' },
    context: { amount: '40.00', url: 'https://shop.example/orders/812', tags: ['a', 'b'], note: null, deep: { a: 1 } },
  })
  for (const risk of ['low', 'medium', 'critical']) await at.ask({ title: `A ${risk} one`, risk, context: {} })
})
after(async () => {
  await browser?.close()
  await at?.stop()
})

const views: readonly (readonly [string, string, (page: Page) => Promise<unknown>])[] = [
  ['the list', '/inbox/latest', async (page) => page.getByText('A medium one').first().waitFor()],
  ['a request', '/inbox/all/ID', async (page) => page.locator('#card-title').waitFor()],
  [
    'the raw JSON of a request',
    '/inbox/all/ID',
    async (page) => {
      await page.locator('#card-title').waitFor()
      await page.keyboard.press('i')
    },
  ],
  [
    'a confirmation',
    '/inbox/all/ID',
    async (page) => {
      await page.locator('#card-title').waitFor()
      await page.getByRole('button', { name: /^Approve/ }).click()
      await page.getByRole('dialog').waitFor()
    },
  ],
  [
    'a rejection',
    '/inbox/all/ID',
    async (page) => {
      await page.locator('#card-title').waitFor()
      await page.getByRole('button', { name: /^Reject/ }).click()
      await page.getByRole('textbox').waitFor()
    },
  ],
  [
    'the palette',
    '/inbox/latest',
    async (page) => {
      await page.getByText('A medium one').first().waitFor()
      await page.keyboard.press('Control+k')
      await page.getByRole('combobox').waitFor()
    },
  ],
  [
    'the sheet of keys',
    '/inbox/latest',
    async (page) => {
      await page.getByText('A medium one').first().waitFor()
      await page.keyboard.press('?')
      await page.getByRole('dialog').waitFor()
    },
  ],
  ['the settings', '/settings', async (page) => page.getByRole('heading', { name: 'Settings' }).waitFor()],
  [
    'no request',
    '/inbox/all/01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59',
    (page) => page.getByText(/no such request/).waitFor(),
  ],
]

describe('no flaw that axe finds, in light and dark, at 1280 and 320 px', () => {
  let page: Page
  let troubles: string[]
  let close: () => Promise<void>
  before(async () => {
    ;({ page, troubles, close } = await openPage(browser, at.url, { reducedMotion: 'reduce' }))
    await signIn(page, at.url)
  })
  after(() => close())

  for (const [name, path, show] of views) {
    test(`${name}: also no violation of the policy or of the origin`, async () => {
      await page.setViewportSize({ width: 1280, height: 800 })
      await page.goto(at.url + path.replace('ID', id))
      await show(page)
      assert.deepEqual(await flaws(page), [])
      assert.deepEqual(troubles, [])
    })
  }
})
