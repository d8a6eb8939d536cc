import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { eventually } from '../../server/test/eventually.ts'
import { request } from '../../server/test/service-process.ts'
import { abroad, flaws } from './axe.ts'
import { admin, type Installation, openPage, reviewer, signIn, startBrowser, startInstallation } from './browser.ts'

let at: Installation
let browser: Browser
let token: string
before(async () => {
  ;[at, browser] = await Promise.all([startInstallation(), startBrowser()])
  token = await at.tokenOf(reviewer)
})
after(async () => {
  await browser?.close()
  await at?.stop()
})

let number = 0
/** The first of the list: each is due before those that were asked earlier. */
const ask = async (what: string, body = {}): Promise<readonly [id: string, title: string]> => {
  number += 1
  const title = `${what} ${number}`
  return [await at.ask({ title, risk: 'low', context: {}, timeout_minutes: 10_000 - number, ...body }), title]
}
const revise = async (id: string, title: string, more = {}): Promise<void> => {
  const reply = await request(at.url, 'POST', `/api/v1/requests/${id}/revisions`, {
    as: at.apiKey,
    body: { title, context: {}, ...more },
  })
  assert.equal(reply.status, 201, JSON.stringify(reply.body))
}
const read = async (id: string) => (await request(at.url, 'GET', `/api/v1/requests/${id}`, { as: token })).body
const open = async (page: Page, id: string): Promise<void> => {
  await page.goto(`${at.url}/inbox/all/${id}`)
  await page.locator('#card-title').waitFor()
  await page.getByText('Live', { exact: true }).waitFor()
}
const heading = (page: Page, name: string) => page.getByRole('heading', { name })
const toast = (page: Page, text: RegExp) => page.getByText(text).first()

describe('what a person did not mean decides nothing', () => {
  let page: Page
  let close: () => Promise<void>
  /** What was sent to the service to decide. */
  const sent: string[] = []
  before(async () => {
    ;({ page, close } = await openPage(browser, at.url))
    page.on('request', (call) => {
      if (call.url().endsWith('/respond')) sent.push(call.url().split('/').at(-2) ?? '')
    })
    await signIn(page, at.url)
  })
  after(() => close())

  test('two presses before the next card are one decision', async () => {
    const [next, nextTitle] = await ask('Close the ticket')
    const [id] = await ask('Close the ticket')
    await open(page, id)
    await page.getByText(nextTitle).waitFor()
    sent.length = 0
    await page.evaluate(`for (let press = 0; press < 2; press += 1) {
      document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'a', code: 'KeyA', bubbles: true, cancelable: true }))
    }`)
    await heading(page, nextTitle).waitFor()
    await toast(page, /^Approved/).waitFor()
    await eventually('it is held', async () => (await read(id)).held_until !== null)
    assert.deepEqual(sent, [id])
    assert.equal((await read(next)).held_until, null)
  })

  test('a double click approves one request, and not the next one', async () => {
    const [next, nextTitle] = await ask('Label the issue')
    const [id] = await ask('Label the issue')
    await open(page, id)
    await page.getByText(nextTitle).waitFor()
    sent.length = 0
    await page.getByRole('button', { name: /^Approve/ }).dblclick()
    await heading(page, nextTitle).waitFor()
    await eventually('it is held', async () => (await read(id)).held_until !== null)
    assert.deepEqual(sent, [id])
    assert.equal((await read(next)).held_until, null)
  })

  test('letters typed after r are the comment', async () => {
    const [id] = await ask('Drop the table')
    await open(page, id)
    sent.length = 0
    await page.keyboard.press('r')
    await page.getByRole('textbox').waitFor()
    await page.keyboard.type('a bad idea, 2 rows are used')
    assert.equal(await page.getByRole('textbox').inputValue(), 'a bad idea, 2 rows are used')
    assert.deepEqual(sent, [])
    await page.keyboard.press('Escape')
  })

  test('a revision that comes while somebody types takes no letter as a key, and keeps what was written', async () => {
    const [id] = await ask('Restart the worker')
    await open(page, id)
    sent.length = 0
    await page.keyboard.press('r')
    await page.getByRole('textbox').waitFor()
    await page.keyboard.type('not a')
    const writing = async (): Promise<void> => {
      while ((await heading(page, 'Restart the other worker').count()) === 0) await page.keyboard.type(' a')
      await page.keyboard.type(' and a day later')
    }
    await Promise.all([revise(id, 'Restart the other worker'), writing()])
    await page.getByText('The agent changed this request. Read it again').waitFor({ state: 'attached' })
    assert.deepEqual(sent, [])
    // A revision came by itself, so the button waits a moment as well.
    await eventually('the form is open again', async () => {
      await page.getByRole('button', { name: /^Reject/ }).click()
      return (await page.getByRole('textbox').count()) === 1
    })
    assert.match(await page.getByRole('textbox').inputValue(), /^not a/)
    await page.keyboard.press('Escape')
  })
})

describe('undo', () => {
  let page: Page
  let close: () => Promise<void>
  before(async () => {
    ;({ page, close } = await openPage(browser, at.url))
    await signIn(page, at.url)
  })
  after(() => close())

  const approve = async (id: string): Promise<void> => {
    await open(page, id)
    await page.keyboard.press('a')
    await page.getByRole('button', { name: /^Undo/ }).waitFor()
  }

  test('works again once the service answers, and until then says that it did not', async () => {
    const [id] = await ask('Rotate the key')
    await ask('Rotate the key')
    await page.route('**/undo', (route) => route.abort())
    await approve(id)
    await page.keyboard.press('z')
    await page
      .getByText(/this was not taken back/)
      .first()
      .waitFor()
    await page.unroute('**/undo')
    await page.keyboard.press('z')
    await eventually('it is open again', async () => (await read(id)).held_until === null)
    assert.equal((await read(id)).state, 'pending')
  })

  test('works on another page', async () => {
    const [id] = await ask('Archive the mailbox')
    await approve(id)
    await page.getByRole('link', { name: 'Settings' }).click()
    await page.getByRole('heading', { name: 'Settings' }).waitFor()
    await page.keyboard.press('z')
    await eventually('it is open again', async () => (await read(id)).held_until === null)
    assert.equal((await read(id)).state, 'pending')
  })

  test('works after the page was loaded again', async () => {
    const [id] = await ask('Scale down')
    await approve(id)
    await open(page, id)
    await page.getByRole('button', { name: /^Undo/ }).waitFor()
    await page.keyboard.press('z')
    await page.getByRole('button', { name: /^Approve/ }).waitFor()
    assert.deepEqual([(await read(id)).state, (await read(id)).held_until], ['pending', null])
  })

  test('a request that was asked back and then revised is in the list again', async () => {
    const [id, title] = await ask('Order paper')
    await ask('Order paper')
    await open(page, id)
    await page.keyboard.press('c')
    await page.getByRole('textbox').fill('How much of it?')
    await page.keyboard.press('Control+Enter')
    await page.getByRole('link', { name: title }).waitFor({ state: 'detached' })
    await eventually('the hold is over', async () => (await read(id)).held_until === null)
    await revise(id, `${title}: two reams`)
    await page.getByRole('link', { name: `${title}: two reams` }).waitFor()
  })
})

test('the next person on the same tab sees nothing of the one before', async () => {
  const { page, close } = await openPage(browser, at.url)
  await signIn(page, at.url)
  const [id, title] = await ask('Pay the bill')
  await open(page, id)
  await page.keyboard.press('a')
  await page.getByRole('button', { name: /^Undo/ }).waitFor()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByLabel('Email').waitFor()
  // Whatever was read before cannot come from the service again.
  await page.route(/\/api\/v1\/requests/, (route) => route.abort())
  await page.getByLabel('Email').fill(admin.email)
  await page.getByLabel('Password').fill(admin.password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await page.waitForURL(/\/inbox\//)
  await page.getByRole('alert').first().waitFor()
  assert.equal(await page.getByText(title).count(), 0)
  assert.equal(await page.getByRole('button', { name: /^Undo/ }).count(), 0)
  await close()
})

describe('snoozing', () => {
  let page: Page
  let troubles: string[]
  let close: () => Promise<void>
  before(async () => {
    ;({ page, troubles, close } = await openPage(browser, at.url))
    await signIn(page, at.url)
  })
  after(() => close())

  const row = (name: string) => page.locator('main').getByRole('link', { name })
  const ofPerson = async (queue: string): Promise<readonly string[]> => {
    const { body } = await request(at.url, 'GET', `/api/v1/requests?queue=${queue}&limit=100`, { as: token })
    return body.items.map(({ id }: { readonly id: string }) => id)
  }

  test('h and a digit put a request aside, z and h bring it back, and the numbers beside the queues follow', async () => {
    const [, second] = await ask('Prune images')
    const [id, first] = await ask('Prune images')
    await open(page, id)
    await row(second).waitFor()
    const aside = async (): Promise<void> => {
      await page.keyboard.press('h')
      await page
        .getByRole('dialog', { name: 'Snooze until' })
        .getByRole('button', { name: /^In an hour/ })
        .waitFor()
      await page.keyboard.press('1')
    }
    await aside()
    await page.getByRole('heading', { name: second }).waitFor()
    assert.equal(await row(first).count(), 0, 'it left the list at once')
    await page.getByRole('link', { name: 'Snoozed 1' }).waitFor()
    assert.ok((await ofPerson('snoozed')).includes(id))
    await page
      .getByText(/^Snoozed until/)
      .first()
      .waitFor()
    await page.keyboard.press('z')
    await page.getByRole('heading', { name: first }).waitFor()
    await row(first).waitFor()
    await page.getByRole('link', { name: 'Snoozed', exact: true }).waitFor()
    assert.ok(!(await ofPerson('snoozed')).includes(id))

    await aside()
    await page.getByRole('heading', { name: second }).waitFor()
    await page.keyboard.press('g')
    await page.keyboard.press('z')
    await page.waitForURL(/\/inbox\/snoozed/)
    await page.getByRole('heading', { name: first }).waitFor()
    await page.getByRole('button', { name: 'Bring back' }).waitFor()
    await page.keyboard.press('h')
    await row(first).waitFor({ state: 'detached' })
    await eventually('it is among the others', async () => (await ofPerson('all')).includes(id))
    await page.keyboard.press('g')
    await page.keyboard.press('o')
    await row(first).waitFor()
    assert.deepEqual(troubles, [])
  })

  test('what was put aside elsewhere leaves the list that is shown, and is done once it is closed', async () => {
    const [id, name] = await ask('Rename the bucket')
    await page.goto(`${at.url}/inbox/all`)
    await row(name).waitFor()
    const body = { until: new Date(Date.now() + 3_600_000).toISOString() }
    assert.equal((await request(at.url, 'POST', `/api/v1/requests/${id}/snooze`, { as: token, body })).status, 200)
    await page.getByRole('link', { name: 'Snoozed 1' }).waitFor()
    await row(name).waitFor({ state: 'detached' })
    assert.equal((await request(at.url, 'POST', `/api/v1/requests/${id}/cancel`, { as: at.apiKey })).status, 200)
    await page.getByRole('link', { name: 'Snoozed', exact: true }).waitFor()
    await page.keyboard.press('g')
    await page.keyboard.press('e')
    await row(name).waitFor()
  })
})

describe('what a request asked before', () => {
  test('stands against what it asks now: what changed since the person looked, and every earlier revision', async () => {
    const { page, troubles, close } = await openPage(browser, at.url)
    await signIn(page, at.url)
    const action = (amount: number) => ({ action: { name: 'refund', args: { order: 812, amount, note: 'lost' } } })
    const [id, title] = await ask('Refund the order', { ...action(40), justification: 'The parcel was lost.' })
    await open(page, id)
    const changed = page.getByText('The agent changed this request since you looked at it.')
    assert.equal(await changed.count(), 0)
    await revise(id, title, { risk: 'low', ...action(60), justification: 'The parcel was lost.' })
    await changed.waitFor()
    await page.getByRole('button', { name: 'What changed', exact: true }).press('Enter')
    const view = page.getByRole('region', { name: 'What changed', exact: true })
    const linesOf = (what: string, revision: number) =>
      view.getByRole('region', { name: `${what}: what changed since revision ${revision}` }).innerText()
    await view.getByText('Arguments', { exact: true }).waitFor()
    const lines = await linesOf('Arguments', 1)
    assert.match(lines, /removed\s*amount: 40/)
    assert.match(lines, /added\s*amount: 60/)
    assert.doesNotMatch(await view.innerText(), /Why the agent asks|Title/, 'what stayed the same is left out')
    await page.getByRole('button', { name: 'Close this note' }).click()
    await changed.waitFor({ state: 'detached' })

    await revise(id, `${title} in full`, { risk: 'low', ...action(80), context: { customer: 'Dana' } })
    await changed.waitFor()
    // The note is of the revision that was seen; the key opens and closes, wherever the focus is.
    await page.locator('#card-title').focus()
    await page.keyboard.press('v')
    await view.waitFor({ state: 'detached' })
    await page.keyboard.press('v')
    await view.getByLabel('Compared with').selectOption({ index: 1 })
    assert.match(await linesOf('Arguments', 1), /amount: 40[\s\S]*amount: 80/)
    await view.getByText('Dana').waitFor()
    assert.deepEqual(await view.locator('del, ins').allTextContents(), [`removed ${title}`, `added ${title} in full`])
    await view.getByRole('button', { name: 'Revision 1 as JSON' }).click()
    await view.getByRole('region', { name: 'Revision 1 as JSON' }).getByText('"The parcel was lost."').waitFor()

    for (const [language, direction] of [
      ['en', 'ltr'],
      ['ar', 'rtl'],
    ]) {
      await page.evaluate(`localStorage.setItem('hitl-preferences', JSON.stringify({ language: '${language}' }))`)
      await page.setViewportSize({ width: 320, height: 640 })
      await page.goto(`${at.url}/inbox/all/${id}`)
      await page.locator('#card-title').waitFor()
      await page.keyboard.press('v')
      await page.getByRole('combobox').waitFor()
      assert.equal(await page.evaluate('document.documentElement.dir'), direction)
      assert.deepEqual(await flaws(page, 'html', abroad), [], `${language}, at 320 px`)
    }
    assert.deepEqual(troubles, [])
    await close()
  })
})

describe('below 1024 px', () => {
  test('the focus is on the next card after a decision, and arrows scroll what is read', async () => {
    const { page, close } = await openPage(browser, at.url, { viewport: { width: 400, height: 500 } })
    await signIn(page, at.url)
    const [, nextTitle] = await ask('Send the letter', { justification: 'A long story.\n\n'.repeat(80) })
    const [id] = await ask('Send the letter')
    await page.goto(`${at.url}/inbox/all/${id}`)
    await page.locator('#card-title').waitFor()
    await page.keyboard.press('a')
    await heading(page, nextTitle).waitFor()
    await eventually(
      'the title has the focus',
      async () => (await page.locator(':focus').getAttribute('id')) === 'card-title',
    )
    await page.keyboard.press('Tab')
    const card = page.getByRole('region', { name: 'The request' })
    await card.focus()
    await page.keyboard.press('ArrowDown')
    await eventually('it is scrolled', async () => Number(await page.evaluate('document.activeElement.scrollTop')) > 0)
    assert.ok(page.url().includes('/inbox/all/'))
    await close()
  })
})

test('a comment that was begun is there again after the page was loaded again, and nobody else sees it', async () => {
  const [id] = await ask('Move the meeting')
  const { page, close } = await openPage(browser, at.url)
  await signIn(page, at.url)
  await open(page, id)
  await page.keyboard.press('r')
  await page.getByRole('textbox').fill('Not on a Friday.')
  const draft = (as: string) => request(at.url, 'GET', `/api/v1/requests/${id}/draft`, { as })
  await eventually('it is kept', async () => (await draft(token)).status === 200)
  assert.deepEqual((await draft(token)).body.answer, { decision: 'reject', comment: 'Not on a Friday.' })
  assert.equal((await draft(await at.tokenOf(admin))).status, 404)
  await open(page, id)
  await page.keyboard.press('r')
  await eventually(
    'it is there again',
    async () => (await page.getByRole('textbox').inputValue()) === 'Not on a Friday.',
  )
  await page.getByRole('textbox').fill('')
  await eventually('it is kept no longer', async () => (await draft(token)).status === 404)
  await close()
})
