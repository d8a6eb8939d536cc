import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import type { Download, Page } from 'playwright-core'
import { eventually } from '../../server/test/eventually.ts'
import { clientId, clientSecret, startOpenIdProvider } from '../../server/test/identity/sso/openid-provider.ts'
import { type Receiver, startReceiver } from '../../server/test/receivers.ts'
import { request } from '../../server/test/service-process.ts'
import { type House, owner, setUp, startHouse } from './house.ts'

let house: House
let page: Page
let troubles: string[]
let receiver: Receiver
let requestId: string
let token: string
before(async () => {
  ;[house, receiver] = await Promise.all([
    startHouse(),
    startReceiver({ behaviour: { status: 500, body: 'not today' } }),
  ])
  ;({ page, troubles } = await house.open())
  await setUp(page, house)
  const body = { username: owner.email, password: owner.password }
  token = (await request(house.url, 'POST', '/api/v1/auth/login', { body })).body.access_token
  const key = await request(house.url, 'POST', '/api/v1/api-keys', { as: token, body: { name: 'billing-agent' } })
  const asked = {
    title: 'Refund it?',
    context: {},
    callback_webhook: `${receiver.url}/hook`,
    callback_retry_seconds: [],
  }
  const made = await request(house.url, 'POST', '/api/v1/requests', { as: key.body.key, body: asked })
  requestId = made.body.id
  const answer = { as: token, body: { decision: 'approve' } }
  assert.equal((await request(house.url, 'POST', `/api/v1/requests/${requestId}/respond`, answer)).status, 200)
  await receiver.waitFor(1)
})
after(async () => {
  await house?.stop()
  await receiver?.close()
})

const button = (name: string | RegExp) => page.getByRole('button', { name, exact: true })
const dialog = () => page.getByRole('dialog')

/** What a button has the browser save. */
async function saved(name: string): Promise<string> {
  const download: Promise<Download> = page.waitForEvent('download')
  await button(name).click()
  return readFile(await (await download).path(), 'utf8')
}

describe('callbacks', () => {
  test('what failed is listed with its attempts, and is sent again', async () => {
    const failed = async () =>
      (await request(house.url, 'GET', '/api/v1/callbacks?status=failed', { as: token })).body.items.length === 1
    await eventually('the callback failed', failed)
    await page.goto(house.url)
    await page.getByRole('link', { name: 'Callbacks' }).click()
    await button(`Attempts to deliver to ${receiver.url}`).click()
    await dialog().getByText('not today').waitFor()
    await button('Done').click()
    receiver.behave({ body: 'ok' })
    await button(`Send again to ${receiver.url}`).click()
    await page.getByText('One callback is sent again.').waitFor()
    await receiver.waitFor(2)
    await page.getByLabel('Status').selectOption('Delivered')
    await eventually('it is listed as delivered', async () => {
      await page.reload()
      await page.getByLabel('Status').selectOption('Delivered')
      return page
        .getByRole('listitem')
        .first()
        .waitFor({ timeout: 2_000 })
        .then(
          () => true,
          () => false,
        )
    })
    await button('Send all again: delivered callbacks').click()
    await dialog().getByRole('button', { name: 'Send all again' }).click()
    await page.getByText('One callback is sent again.').waitFor()
    await receiver.waitFor(3)
    assert.deepEqual(troubles, [])
  })
})

describe('the audit', () => {
  test('it is filtered, exported, and gives the evidence pack of a request', async () => {
    await page.goto(house.url)
    await page.getByRole('link', { name: 'Audit' }).click()
    await page.getByText('Sealed', { exact: true }).waitFor()
    await page.getByLabel('Kind of event').fill('request.responded')
    await button('Filter').click()
    await page.waitForURL(/kind=request\.responded/)
    const rows = page.getByRole('listitem')
    await rows.filter({ hasText: 'request.responded' }).waitFor()
    assert.equal(await rows.count(), 1)
    assert.match(await rows.first().innerText(), /Olga Owner/)
    const pack = await saved(`Save the evidence pack of the request ${requestId}`)
    assert.match(pack, /Refund it\?/)
    const lines = (await saved('Export as JSON Lines')).trim().split('\n')
    assert.ok(lines.length > 5)
    for (const line of lines) JSON.parse(line)
    assert.match(await saved('Compliance report'), /<h1>Compliance report<\/h1>[\s\S]*Olga Owner/)
    // A filter that the service does not know is refused in words.
    await page.getByLabel('Kind of event').fill('nothing.happened')
    await button('Filter').click()
    await page.getByRole('alert').filter({ hasText: 'kind' }).waitFor()
    assert.deepEqual(troubles, [])
  })
})

describe('the overview', () => {
  test('it shows what was decided', async () => {
    await page.goto(`${house.url}/overview`)
    await page.getByText('1 of 1 approved').first().waitFor()
    assert.match(await page.getByRole('listitem').filter({ hasText: 'billing-agent' }).innerText(), /1 of 1 approved/)
    assert.match(await page.getByRole('listitem').filter({ hasText: 'Olga Owner' }).innerText(), /1 of 1 approved/)
  })
})

describe('identity providers', () => {
  test('a provider is added, and somebody signs in through it by the link that they were given', async () => {
    const provider = await startOpenIdProvider()
    try {
      await page.goto(`${house.url}/settings/identity-providers`)
      await button('Add an identity provider').click()
      await page.getByLabel('Name', { exact: true }).fill('Acme Login')
      await page.getByLabel('Issuer (URL)').fill(provider.issuer)
      await page.getByLabel('Client ID').fill(clientId)
      await page.getByLabel('Client secret (may be left empty)').fill(clientSecret)
      await page.getByLabel('Role of people whose claims give none').selectOption('Reviewer')
      await page.getByLabel('New people may come in').check()
      await dialog().getByRole('button', { name: 'Add an identity provider' }).click()
      provider.register(await dialog().getByRole('region', { name: 'Redirect URI' }).innerText())
      const link = await dialog().getByRole('region', { name: 'Sign-in link' }).innerText()
      await button('Done').click()

      provider.signsIn({ sub: 'kim', email: 'kim@example.com', email_verified: true, name: 'Kim' })
      const kim = await house.open()
      await kim.page.goto(link)
      await kim.page.getByRole('link', { name: 'Sign in through the identity provider' }).click()
      await kim.page.waitForURL(/\/inbox\//)
      await kim.page.goto(`${house.url}/settings/profile`)
      await kim.page.getByText('You sign in with kim@example.com.').waitFor()
      await kim.close()
    } finally {
      await provider.close()
    }
  })
})
