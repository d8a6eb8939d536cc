import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { type Installation, openPage, signIn, startBrowser, startInstallation } from './browser.ts'

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

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

const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

/** Every rule of WCAG 2.2 A and AA that axe can check. */
async function violations(page: Page): Promise<readonly string[]> {
  // Not by a script element, which the policy refuses.
  await page.evaluate(axe)
  const found = (await page.evaluate(
    `axe.run(document, { runOnly: { type: 'tag', values: ${JSON.stringify(tags)} } })`,
  )) as {
    readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly html: string }[] }[]
  }
  return found.violations.map(
    ({ id: rule, nodes }) => `${rule}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`,
  )
}

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

for (const width of [1280, 320]) {
  for (const colorScheme of ['light', 'dark'] as const) {
    describe(`${width} px wide, ${colorScheme}`, () => {
      let page: Page
      let troubles: string[]
      let close: () => Promise<void>
      before(async () => {
        const viewport = { width, height: 800 }
        ;({ page, troubles, close } = await openPage(browser, at.url, {
          viewport,
          colorScheme,
          reducedMotion: 'reduce',
        }))
        await page.goto(`${at.url}/sign-in`)
        await page.getByLabel('Email').waitFor()
        assert.deepEqual(await violations(page), [], 'the sign-in')
        await signIn(page, at.url)
      })
      after(() => close())

      for (const [name, path, show] of views) {
        test(`${name}: no violation of WCAG 2.2 AA, of the policy or of the origin, and nothing wider than the page`, async () => {
          await page.goto(at.url + path.replace('ID', id))
          await show(page)
          assert.deepEqual(await violations(page), [])
          assert.deepEqual(troubles, [])
          const [inner, whole] = (await page.evaluate('[innerWidth, document.documentElement.scrollWidth]')) as number[]
          assert.ok(Number(whole) <= Number(inner), `${whole} px of ${inner}`)
        })
      }
    })
  }
}
