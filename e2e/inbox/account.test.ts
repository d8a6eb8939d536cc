import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type House, linkOf, owner, startHouse } from './house.ts'

/** One low risk, one edit with a diff, one form, one high risk. */
const practised = [/Tag ticket 4711/, /Send Dana Schmidt a mail/, /When does the team meet/, /Refund 40.00 EUR/]

/** Frames for 400 ms (web/src/deciding/rules.ts). */
const seen = `(async () => {
  for (const from = performance.now(); performance.now() - from <= 400; ) await new Promise(requestAnimationFrame)
})()`

let house: House
before(async () => {
  house = await startHouse()
})
after(() => house?.stop())

describe('the first person', () => {
  test('the set-up link makes the first admin, who is signed in and decides a practice request, by keys alone', async (t) => {
    const { page, troubles, close } = await house.open({ serviceWorkers: 'allow' })
    const began = performance.now()
    let last = began
    /** What is not the person's own reading and typing. */
    const took = (step: string): void => {
      t.diagnostic(`${step}: ${((performance.now() - last) / 1_000).toFixed(2)} s`)
      last = performance.now()
    }
    const { keyboard } = page
    const focusOn = async (button: string): Promise<void> => {
      const isThere = () => page.evaluate('document.activeElement.textContent')
      for (let step = 0; step < 30 && (await isThere()) !== button; step += 1) await keyboard.press('Tab')
      assert.equal(await isThere(), button)
    }
    await page.goto(house.setupLink)
    const password = page.getByLabel(/^New password/)
    await password.waitFor()
    took('the link is open')
    assert.equal(await password.getAttribute('type'), 'password')
    assert.equal(await password.getAttribute('autocomplete'), 'new-password')
    // The first of the three fields has the focus.
    for (const text of [owner.name, owner.email, owner.password]) {
      await keyboard.insertText(text)
      if (text !== owner.password) await keyboard.press('Tab')
    }
    took('three fields are filled in')
    await keyboard.press('Enter')
    await page.waitForURL(/\/inbox\//)
    assert.equal(new URL(page.url()).hash, '', 'the token is out of the address')
    await page.getByRole('button', { name: 'Make four practice requests' }).waitFor()
    took('the account is made, and its inbox is there')
    await focusOn('Make four practice requests')
    took('the button is reached')
    await keyboard.press('Enter')
    for (const title of practised) await page.getByRole('link', { name: title }).first().waitFor()
    await page.getByRole('heading', { name: practised[0] as RegExp }).waitFor()
    // It came by itself, so that no key decides it before a person can have seen it.
    await page.evaluate(seen)
    took('the first of four practice requests is read')
    await keyboard.press('a')
    await page
      .getByText(/^Approved/)
      .first()
      .waitFor()
    await page.getByRole('heading', { name: practised[1] as RegExp }).waitFor()
    took('it is decided, and the next one is there')
    t.diagnostic(`in all: ${((last - began) / 1_000).toFixed(2)} s`)
    assert.ok(last - began < 60_000)
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
