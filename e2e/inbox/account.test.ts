import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { fillSetUp, type House, linkOf, owner, startHouse } from './house.ts'

/** One low risk, one edit with a diff, one form, one high risk. */
const practised = [/Tag ticket 4711/, /Send Dana Schmidt a mail/, /When does the team meet/, /Refund 40.00 EUR/]

let house: House
before(async () => {
  house = await startHouse()
})
after(() => house?.stop())

describe('the first person', () => {
  test('the set-up link makes the first admin, who is signed in and in the inbox', async () => {
    const { page, troubles, close } = await house.open()
    await page.goto(house.setupLink)
    const password = page.getByLabel(/^New password/)
    assert.equal(await password.getAttribute('type'), 'password')
    assert.equal(await password.getAttribute('autocomplete'), 'new-password')
    await fillSetUp(page)
    assert.equal(new URL(page.url()).hash, '', 'the token is out of the address')
    await page.getByRole('button', { name: 'Make four practice requests' }).click()
    for (const title of practised) await page.getByRole('link', { name: title }).first().waitFor()
    await page.goBack()
    assert.doesNotMatch(page.url(), /#./, 'and out of the history')
    assert.deepEqual(troubles, [])
    await close()
  })
})

describe('an address', () => {
  test('another one counts once the link mailed to it was used', async () => {
    const { page, troubles, close } = await house.open()
    await page.goto(`${house.url}/settings/profile`)
    await page.getByLabel('Email').fill(owner.email)
    await page.getByLabel('Password').fill(owner.password)
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.getByRole('button', { name: 'Verify the address' }).click()
    await page.getByText('The link is on its way').waitFor()
    await page.getByRole('button', { name: 'Change your address' }).click()
    await page.getByLabel('New address').fill('owner@example.org')
    await page.getByLabel('Current password').fill(owner.password)
    await page.getByRole('dialog').getByRole('button', { name: 'Change' }).click()
    const link = await linkOf(house, 'owner@example.org', 'Confirm your new address')
    await page.goto(link)
    await page.getByRole('button', { name: 'This address is mine' }).click()
    await page.getByRole('heading', { name: 'Your address is confirmed' }).waitFor()
    await page.goto(`${house.url}/settings/profile`)
    await page.getByText('You sign in with owner@example.org.').waitFor()
    assert.deepEqual(troubles, [])
    await close()
  })
})

describe('a forgotten password', () => {
  test('a mailed link leads to a new one', async () => {
    const { page, troubles, close } = await house.open()
    await page.goto(`${house.url}/sign-in`)
    await page.getByRole('link', { name: 'Forgot your password?' }).click()
    // Both pages have a field of this name.
    await page.getByRole('button', { name: 'Send me a link' }).waitFor()
    await page.getByLabel('Email').fill('owner@example.org')
    await page.getByRole('button', { name: 'Send me a link' }).click()
    await page.getByRole('heading', { name: 'Look into your mailbox' }).waitFor()
    await page.goto(await linkOf(house, 'owner@example.org', 'Choose a new password'))
    await page.getByLabel(/^New password/).fill('another long walk')
    await page.getByRole('button', { name: 'Use this password' }).click()
    await page.getByRole('heading', { name: 'Your password is changed' }).waitFor()
    await page.getByRole('link', { name: 'Go to the sign-in' }).click()
    await page.getByLabel('Email').fill('owner@example.org')
    await page.getByLabel('Password').fill('another long walk')
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.waitForURL(/\/inbox\//)
    assert.deepEqual(troubles, [])
    await close()
  })
})
