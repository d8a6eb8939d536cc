import assert from 'node:assert/strict'
import type { Browser } from 'playwright-core'
import { eventually } from '../../server/test/eventually.ts'
import { login, request } from '../../server/test/service-process.ts'
import { openPage, signIn } from './browser.ts'

/**
 * What every installation gives a person, wherever it is: in, a request that comes while the page is open, a decision by its
 * key, and out. All that is loaded and called is below PUBLIC_URL.
 */
export async function journey(
  browser: Browser,
  url: string,
  who: { readonly email: string; readonly password: string },
  apiKey: string,
): Promise<void> {
  const { page, troubles, close } = await openPage(browser, url)
  page.on('request', (call) => {
    if (/^https?:/.test(call.url()) && !call.url().startsWith(`${url}/`)) troubles.push(`call to ${call.url()}`)
  })
  await signIn(page, url, who)
  await page.getByText('Live', { exact: true }).waitFor()
  const title = 'Restart the mail server'
  const body = { title, risk: 'low', context: {}, timeout_minutes: 1 }
  const asked = await request(url, 'POST', '/api/v1/requests', { as: apiKey, body })
  assert.equal(asked.status, 201, JSON.stringify(asked.body))
  await page.getByRole('link', { name: title }).click()
  await page.getByRole('heading', { name: title }).waitFor()
  await page.keyboard.press('a')
  await page
    .getByText(/^Approved/)
    .first()
    .waitFor()
  const as = await login(url, who.email, who.password)
  await eventually('the service has the decision', async () => {
    const { body: after } = await request(url, 'GET', `/api/v1/requests/${asked.body.id}`, { as })
    return after.response?.decision === 'approve'
  })
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByLabel('Email').waitFor()
  assert.deepEqual(await page.context().cookies(), [], 'the session is gone from the browser')
  assert.deepEqual(troubles, [])
  await close()
}
