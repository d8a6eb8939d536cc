import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { type Installation, openPage, reviewer, signIn, startBrowser, startInstallation } from './browser.ts'

let at: Installation
let browser: Browser
before(async () => {
  ;[at, browser] = await Promise.all([startInstallation(), startBrowser()])
})
after(async () => {
  await browser?.close()
  await at?.stop()
})

describe('signing in', () => {
  test('a wrong password is refused in words; the right one leads to where the person wanted to go', async () => {
    const { page, troubles, close } = await openPage(browser, at.url)
    await page.goto(`${at.url}/inbox/due-soon`)
    await page.getByLabel('Email').fill(reviewer.email)
    await page.getByLabel('Password').fill('not this one')
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.getByText('Incorrect email or password').waitFor()
    await page.getByLabel('Password').fill(reviewer.password)
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.waitForURL(`${at.url}/inbox/due-soon`)
    await page.reload()
    await page.waitForURL(`${at.url}/inbox/due-soon`)
    assert.deepEqual(troubles, [])
    await close()
  })

  test('a link to another site is not followed after the sign-in', async () => {
    const { page, close } = await openPage(browser, at.url)
    await signIn(page, at.url, reviewer, `/sign-in?to=${encodeURIComponent('//example.org/')}`)
    assert.equal(new URL(page.url()).origin, at.url)
    await close()
  })
})
