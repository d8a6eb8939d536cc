import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import type { Page } from 'playwright-core'
import { codeAt } from '../../server/test/identity/factors/authenticator-app.ts'
import { request } from '../../server/test/service-process.ts'
import { addAuthenticator, fillSetUp, type House, linkOf, owner, setUp, startHouse } from './house.ts'

let house: House
let page: Page
before(async () => {
  house = await startHouse()
  ;({ page } = await house.open())
  await setUp(page, house)
})
after(() => house?.stop())

const button = (name: string | RegExp, at: Page = page) => at.getByRole('button', { name, exact: true })
const dialog = (at: Page = page) => at.getByRole('dialog')
const sendDialog = async (text: string, at: Page = page): Promise<void> => {
  await dialog(at).getByRole('button', { name: text, exact: true }).click()
}
const closed = (at: Page = page): Promise<void> => dialog(at).waitFor({ state: 'detached' })
const go = async (section: string, at: Page = page): Promise<void> => {
  await at.goto(`${house.url}/settings/${section}`)
  await at.getByRole('heading', { level: 1 }).waitFor()
}

/** Registers an agent and makes a key for it, and returns the command that asks with it. */
async function newAgent(name: string): Promise<{ readonly key: string; readonly curl: string }> {
  await go('agents')
  await button('Register an agent').click()
  await page.getByLabel('Name of the agent').fill(name)
  await sendDialog('Register an agent')
  await button(`Make a key for ${name}`).click()
  await page.getByLabel('Name of the key').fill(`${name}-key`)
  await sendDialog('Make a key')
  const key = await dialog().getByRole('region', { name: 'API key' }).innerText()
  const curl = await dialog().getByRole('region', { name: 'Command that asks' }).innerText()
  await sendDialog('Done')
  await closed()
  return { key, curl }
}

describe('agents and keys', () => {
  test('a key is shown once, its command works when pasted, it is rotated, and a stopped agent is refused', async () => {
    const { key, curl } = await newAgent('billing-agent')
    const { stdout } = await promisify(execFile)('sh', ['-c', `${curl} -s`])
    assert.equal(JSON.parse(stdout).state, 'pending', stdout)
    await page.reload()
    await button('Keys of billing-agent').click()
    await button('Rotate billing-agent-key').click()
    await page.getByLabel('The old key goes on working').selectOption('Not at all')
    await sendDialog('Rotate')
    const rotated = await dialog().getByRole('region', { name: 'API key' }).innerText()
    await sendDialog('Done')
    assert.equal((await request(house.url, 'GET', '/api/v1/requests', { as: key })).status, 401)
    assert.equal((await request(house.url, 'GET', '/api/v1/requests', { as: rotated })).status, 200)
    await button('Stop billing-agent').click()
    await page.getByLabel('Reason, which the agent is told').fill('It repeats itself.')
    await sendDialog('Stop')
    await page.getByText('Stopped', { exact: true }).waitFor()
    assert.equal((await request(house.url, 'GET', '/api/v1/requests', { as: rotated })).status, 403)
    await button('Resume billing-agent').click()
    await sendDialog('Resume')
    await page.getByText('Stopped', { exact: true }).waitFor({ state: 'detached' })
    assert.equal((await request(house.url, 'GET', '/api/v1/requests', { as: rotated })).status, 200)
  })
})

describe('people and teams', () => {
  test('an invited person joins, is put into a team, gets another role, and is deactivated', async () => {
    await go('people')
    await button('Invite a person').click()
    await page.getByLabel('Email (may be left empty)').fill('robin@example.com')
    await sendDialog('Invite a person')
    await dialog().getByText('Only robin@example.com can use this link').waitFor()
    await sendDialog('Done')
    const robin = await house.open()
    await robin.page.goto(await linkOf(house, 'robin@example.com', 'You are invited'))
    await fillSetUp(robin.page, { name: 'Robin Reviewer', email: 'robin@example.com', password: 'a boat on a lake' })
    assert.deepEqual(robin.troubles, [])

    await go('teams')
    await button('Create a team').click()
    await page.getByLabel('Name of the team').fill('Payments')
    await sendDialog('Create a team')
    await button('Members of Payments').click()
    await button('Add a person to Payments').click()
    await page.getByLabel('Person', { exact: true }).selectOption('Robin Reviewer')
    await page.getByLabel('Leads the team').check()
    await sendDialog('Add a person')
    await page.getByRole('listitem').filter({ hasText: 'Robin Reviewer' }).getByText('Lead').waitFor()

    await go('people')
    await button('Change Robin Reviewer').click()
    await page.getByLabel('Role').selectOption('Auditor')
    await sendDialog('Change')
    await page.getByText('robin@example.com · Auditor').waitFor()
    await button('Deactivate Robin Reviewer').click()
    await sendDialog('Deactivate')
    await page.getByText('Deactivated', { exact: true }).waitFor()
    await robin.page.reload()
    await robin.page.waitForURL(/sign-in/)
    await robin.close()
  })

  test('somebody with an account joins another organization, and switches between both', async () => {
    await go('profile')
    await button('Create an organization').click()
    await page.getByLabel('Name of the organization').fill('Second House')
    await sendDialog('Create an organization')
    await button('Switch to Second House').click()
    await page.waitForURL(/\/inbox\//)
    await page.getByText('Second House').first().waitFor()
    // Nothing was asked here yet, and the inbox says how to.
    await button('Ask from your own agent').click()
    await sendDialog('Ask from your own agent')
    const curl = await dialog().getByRole('region', { name: 'Command that asks' }).innerText()
    await promisify(execFile)('sh', ['-c', `${curl} -s`])
    await page
      .getByRole('link', { name: /May I send the report/ })
      .first()
      .waitFor()
    await go('people')
    await button('Invite a person').click()
    await sendDialog('Invite a person')
    const link = await dialog().getByRole('region', { name: 'Link of the invitation' }).innerText()
    await sendDialog('Done')
    await go('profile')
    await button('Switch to Default').click()
    await page.waitForURL(/\/inbox\//)
    await page.goto(link)
    await button('Join').click()
    // The founder is a member of it already, and the service says so.
    await page
      .getByRole('alert')
      .getByText(/already/)
      .waitFor()
  })
})

describe('sign-in and security', () => {
  test('a passkey signs in, and a sensitive act waits for it', async () => {
    await addAuthenticator(page)
    await go('security')
    await button('Add a passkey').click()
    await page.getByLabel('Name of the passkey').fill('Work laptop')
    await sendDialog('Add a passkey')
    await page.getByText('Work laptop').waitFor()
    await button('Sign out').click()
    await page.waitForURL(/sign-in/)
    await button('Sign in with a passkey').click()
    await page.waitForURL(/\/(inbox|settings)\//)
    await go('people')
    await button('Invite a person').click()
    await sendDialog('Invite a person')
    await button('Confirm with a passkey').click()
    await dialog().getByText('Give this link to the person').waitFor()
    await sendDialog('Done')
  })

  test('whoever declines the proof keeps what was typed, and is told why nothing happened', async () => {
    await go('people')
    await button('Invite a person').click()
    await page.getByLabel('Email (may be left empty)').fill('kim@example.com')
    await sendDialog('Invite a person')
    await button('Confirm with a passkey').waitFor()
    await page.getByRole('dialog', { name: 'Confirm that it is you' }).getByRole('button', { name: 'Cancel' }).click()
    await dialog().getByText('confirm again that it is you').waitFor()
    assert.equal(await page.getByLabel('Email (may be left empty)').inputValue(), 'kim@example.com')
    await sendDialog('Cancel')
    await closed()
  })

  test('an authenticator app asks for its code; a recovery code takes its place; both go in the second step', async () => {
    await go('security')
    await button('Add an authenticator app').click()
    await button('Confirm with a passkey').click()
    const seed = await page.getByRole('region', { name: 'Key for the app' }).innerText()
    await page.getByRole('img', { name: 'QR code of the key' }).waitFor()
    await page.getByLabel('Code from the app').fill(codeAt(seed, new Date()))
    await sendDialog('Turn it on')
    await page.getByText('On', { exact: true }).waitFor()
    await button('Make recovery codes').click()
    await sendDialog('Make recovery codes')
    await button('Confirm with a passkey').click()
    const codes = await dialog().getByRole('region', { name: 'Recovery codes' }).innerText()
    await sendDialog('Done')
    await button('Sign out').click()
    await page.getByLabel('Email').fill(owner.email)
    await page.getByLabel('Password').fill(owner.password)
    await button('Sign in').click()
    await page.getByRole('heading', { name: 'Second step' }).waitFor()
    await button('Use a recovery code instead').click()
    await page.getByLabel('Recovery code').fill(codes.split('\n')[0] ?? '')
    await button('Continue').click()
    await page.waitForURL(/\/(inbox|settings)\//)
    await go('security')
    await page.getByText('9 are left.').waitFor()
  })

  test('another session is ended, and that browser has to sign in again', async () => {
    const other = await house.open()
    await addAuthenticator(other.page)
    await other.page.goto(`${house.url}/sign-in`)
    await other.page.getByLabel('Email').fill(owner.email)
    await other.page.getByLabel('Password').fill(owner.password)
    await button('Sign in', other.page).click()
    await other.page.getByRole('heading', { name: 'Second step' }).waitFor()
    await go('sessions')
    await page.getByText('This session').waitFor()
    await button('End all others').click()
    await sendDialog('End all others')
    await closed()
    assert.equal(await page.getByRole('listitem').count(), 1)
    await other.close()
  })
})

describe('the organization', () => {
  test('it is renamed, and asks everybody for a proof each time', async () => {
    await go('organization')
    await page.getByLabel('Name of the organization').fill('Acme')
    await page.getByLabel('Confirm sensitive acts each time').check()
    await button('Save the organization').click()
    await button('Confirm with a passkey').click()
    await page.getByText('Saved.').waitFor()
    await page.reload()
    assert.equal(await page.getByLabel('Name of the organization').inputValue(), 'Acme')
    assert.equal(await page.getByLabel('Confirm sensitive acts each time').isChecked(), true)
  })
})
