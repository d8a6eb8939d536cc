import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { eventually } from '../../server/test/eventually.ts'
import { request } from '../../server/test/service-process.ts'
import { type Installation, openPage, reviewer, signIn, startBrowser, startInstallation } from './browser.ts'

let at: Installation
let browser: Browser
let page: Page
let troubles: string[]
before(async () => {
  ;[at, browser] = await Promise.all([startInstallation(), startBrowser()])
  const phone = { viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true }
  ;({ page, troubles } = await openPage(browser, at.url, phone))
  await signIn(page, at.url)
})
after(async () => {
  await browser?.close()
  await at?.stop()
})

const responseOf = async (id: string, as: string) =>
  (await request(at.url, 'GET', `/api/v1/requests/${id}`, { as })).body.response as {
    readonly decision: string | null
    readonly comment: string | null
    readonly form_data?: unknown
  } | null

/** Buttons and fields that are smaller than a finger (44 px), where they are seen. */
const tooSmall = `[...document.querySelectorAll('main button, main [data-row], main input, main textarea')]
  .filter((each) => each.checkVisibility() && !each.matches('[type=radio], [type=checkbox], .sr-only'))
  .map((each) => [each.textContent || each.getAttribute('name') || each.tagName, each.getBoundingClientRect()])
  .filter(([, { width, height }]) => width > 1 && height < 43.5)
  .map(([text, { height }]) => text + ': ' + height + ' px')`

const openByTouch = async (title: string): Promise<void> => {
  await page.goto(`${at.url}/inbox/all`)
  await page.locator('[data-row]', { hasText: title }).tap()
  await page.locator('#card-title', { hasText: title }).waitFor()
  assert.deepEqual(await page.evaluate(tooSmall), [], 'targets for a finger are 44 px high')
}

test('a finger opens a request, reads it, approves it and takes that back', async () => {
  const id = await at.ask({ title: 'Label the issue', risk: 'low', context: { issue: 77 } })
  const as = await at.tokenOf(reviewer)
  await openByTouch('Label the issue')
  await page.getByText('77').waitFor()
  await page.getByRole('button', { name: /^Approve/ }).tap()
  await page.getByRole('button', { name: /^Undo/ }).tap()
  await eventually('it is open again', async () => (await responseOf(id, as)) === null)
})

test('a finger asks back, and says why', async () => {
  const id = await at.ask({ title: 'Merge the change', risk: 'low', context: {} })
  const as = await at.tokenOf(reviewer)
  await openByTouch('Merge the change')
  await page.getByRole('button', { name: /^Ask back/ }).tap()
  await page.getByRole('textbox').fill('Which branch?')
  assert.deepEqual(await page.evaluate(tooSmall), [])
  await page
    .getByRole('button', { name: /^Ask back/ })
    .last()
    .tap()
  const response = await eventually('it was asked back', () => responseOf(id, as))
  assert.equal(response.decision, 'request_changes')
  assert.equal(response.comment, 'Which branch?')
})

test('a finger fills in a form and sends it', async () => {
  const properties = { city: { type: 'string', title: 'City' } }
  const form = { type: 'object', properties, required: ['city'], additionalProperties: false }
  const id = await at.ask({ title: 'Where to meet', risk: 'low', context: {}, answer: { decisions: [], form } })
  const as = await at.tokenOf(reviewer)
  await openByTouch('Where to meet')
  await page.getByLabel(/^City/).tap()
  await page.getByLabel(/^City/).fill('Lisbon')
  await page.getByRole('button', { name: /^Send answer/ }).tap()
  await eventually('it is answered', async () => (await responseOf(id, as)) !== null)
  assert.deepEqual(troubles, [])
})
