import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { abroad, flaws } from './axe.ts'
import { type Installation, openPage, signIn, startBrowser, startInstallation } from './browser.ts'

let at: Installation
let browser: Browser
let id: string
let changed: string
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
  changed = await at.ask({
    title: 'A changed one',
    risk: 'medium',
    context: { plan: { before: 'basic', after: 'pro' } },
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

describe('no flaw that axe finds, in light, dark and forced colours, at 1280 and 320 px', () => {
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

  test('in forced colours what is chosen, focused, risky, and changed is marked by more than a ground', async () => {
    await page.setViewportSize({ width: 1280, height: 800 })
    await page.emulateMedia({ forcedColors: 'active' })
    await page.goto(`${at.url}/inbox/all/${id}`)
    await page.locator('#card-title').waitFor()
    const look = async (selector: string) => {
      await page.locator(selector).first().waitFor()
      const name = JSON.stringify(selector)
      return (await page.evaluate(`(() => {
        const { outlineStyle, outlineWidth, textDecorationLine: line } = getComputedStyle(document.querySelector(${name}))
        return { outline: outlineStyle + ' ' + outlineWidth, line }
      })()`)) as { readonly outline: string; readonly line: string }
    }
    const chosen = await look('[data-row][aria-current]')
    assert.equal(chosen.outline, 'solid 2px')
    await page.keyboard.press('j')
    await page.locator('[data-row]:focus').waitFor()
    const focused = await look('[data-row]:focus')
    assert.equal(focused.outline, 'solid 2px')
    // A shape for each tier, in a colour that is not the ground's.
    const shapes = (await page.evaluate(`[...document.querySelectorAll('[data-row] svg path')].map((path) =>
      [path.getAttribute('d'), getComputedStyle(path).fill, getComputedStyle(document.body).backgroundColor])`)) as string[][]
    assert.equal(new Set(shapes.map(([shape]) => shape)).size, 4)
    for (const [, fill, ground] of shapes) assert.notEqual(fill, ground)
    await page.goto(`${at.url}/inbox/all/${changed}`)
    assert.equal((await look('del')).line, 'line-through')
    assert.equal((await look('ins')).line, 'underline')
    await page.keyboard.press('Control+k')
    await page.locator('[role=option][aria-selected=true]').waitFor()
    assert.equal((await look('[role=option][aria-selected=true]')).outline, 'solid 2px')
    await page.keyboard.press('Escape')
    await page.emulateMedia({ forcedColors: 'none' })
  })

  test('from right to left', async (context) => {
    await page.evaluate("localStorage.setItem('hitl-preferences', JSON.stringify({ language: 'ar' }))")
    for (const path of ['/inbox/latest', '/inbox/all/ID']) {
      await context.test(path, async () => {
        await page.goto(at.url + path.replace('ID', id))
        await page
          .locator(path.endsWith('ID') ? '#card-title' : '[data-row]')
          .first()
          .waitFor()
        assert.equal(await page.evaluate('document.documentElement.dir'), 'rtl')
        assert.deepEqual(await flaws(page, 'html', abroad), [])
      })
    }
    assert.deepEqual(troubles, [])
  })
})
