import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { eventually } from '../../server/test/eventually.ts'
import { startReceiver } from '../../server/test/receivers.ts'
import { request } from '../../server/test/service-process.ts'
import { admin, type Installation, openPage, reviewer, signIn, startBrowser, startInstallation } from './browser.ts'

let at: Installation
let browser: Browser
before(async () => {
  ;[at, browser] = await Promise.all([startInstallation(), startBrowser()])
})
after(async () => {
  await browser?.close()
  await at?.stop()
})

const low = { risk: 'low', context: {} }
let number = 0
const title = (what: string): string => {
  number += 1
  return `${what} ${number}`
}
const stateOf = async (id: string) =>
  (await request(at.url, 'GET', `/api/v1/requests/${id}`, { as: at.apiKey })).body as {
    readonly state: string
    readonly response: { readonly decision: string; readonly comment: string | null } | null
  }
const open = async (page: Page, id: string): Promise<void> => {
  await page.goto(`${at.url}/inbox/all/${id}`)
  await page.locator('#card-title').waitFor()
}
const heading = (page: Page) => page.locator('#card-title')
/** As a person sees it, held back or not. */
const responseOf = async (id: string) =>
  (await request(at.url, 'GET', `/api/v1/requests/${id}`, { as: await reviewerToken() })).body.response as {
    readonly decision: string
    readonly comment: string | null
  } | null
let token: Promise<string> | undefined
const reviewerToken = (): Promise<string> => (token ??= at.tokenOf(reviewer))

describe('deciding by key', () => {
  let page: Page
  let troubles: string[]
  let close: () => Promise<void>
  before(async () => {
    ;({ page, troubles, close } = await openPage(browser, at.url))
    await signIn(page, at.url)
  })
  after(() => close())
  beforeEach(() => {
    troubles.length = 0
  })

  test('from the sign-in to the agent: one key approves, the hold passes, and the receiver of the agent hears it', async (t) => {
    const receiver = await startReceiver()
    t.after(() => receiver.close())
    const id = await at.ask({ ...low, title: title('Label issue'), callback_webhook: receiver.url })
    await open(page, id)
    await page.keyboard.press('a')
    await page
      .getByText(/^Approved/)
      .first()
      .waitFor()
    assert.equal((await stateOf(id)).state, 'pending', 'the agent sees nothing while the decision is held')
    const call = await eventually('the agent is called back', () => receiver.requests[0] ?? null)
    assert.match(String(call.body), /"decision":"approve"/)
    assert.deepEqual(troubles, [])
  })

  test('the next request is painted at once, and z takes the decision back', async () => {
    const [first, second] = [title('Close ticket'), title('Close ticket')]
    const id = await at.ask({ ...low, title: first, timeout_minutes: 1_000 })
    await at.ask({ ...low, title: second, timeout_minutes: 1_001 })
    await page.getByText(second).waitFor()
    await open(page, id)
    await page.getByText(second).waitFor()
    await page.keyboard.press('a')
    await page.getByRole('heading', { name: second }).waitFor()
    assert.equal(await page.getByRole('link', { name: first }).count(), 0, 'it left the list')
    await page.getByText('Undo').waitFor()
    await page.keyboard.press('z')
    await page.getByRole('heading', { name: first }).waitFor()
    await page.getByRole('link', { name: first }).waitFor()
    const { state, response } = await stateOf(id)
    assert.deepEqual([state, response], ['pending', null])
  })

  test('a rejection takes a reason by its number, and Ctrl+Enter sends it', async () => {
    const id = await at.ask({ ...low, title: title('Merge'), risk: 'high' })
    await open(page, id)
    await page.keyboard.press('r')
    await page.keyboard.press('2')
    assert.equal(await page.getByRole('textbox').inputValue(), 'This is against our rules.')
    await page.keyboard.press('Control+Enter')
    await page
      .getByText(/^Rejected/)
      .first()
      .waitFor()
    const { response } = (await request(at.url, 'GET', `/api/v1/requests/${id}`, { as: await at.tokenOf(reviewer) }))
      .body
    assert.deepEqual([response.decision, response.comment], ['reject', 'This is against our rules.'])
  })

  test('without the reason that high risk asks for, nothing is sent', async () => {
    const id = await at.ask({ ...low, title: title('Drop'), risk: 'high' })
    await open(page, id)
    await page.keyboard.press('r')
    await page.keyboard.press('Control+Enter')
    await page.getByText('This takes a few words.').waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('button', { name: /^Reject/ }).waitFor()
    assert.equal((await stateOf(id)).state, 'pending')
  })

  test('high risk: a opens a confirmation whose focus is on not approving', async () => {
    const id = await at.ask({ ...low, title: title('Refund'), risk: 'high' })
    await open(page, id)
    await page.keyboard.press('a')
    const dialog = page.getByRole('dialog')
    await dialog.waitFor()
    await eventually(
      'the focus is on not approving',
      async () => (await page.locator(':focus').textContent()) === 'Do not approve',
    )
    // Another a, and Enter on the button that has the focus, approve nothing.
    await page.keyboard.press('a')
    await page.keyboard.press('Enter')
    await dialog.waitFor({ state: 'hidden' })
    assert.equal((await stateOf(id)).state, 'pending')
    await page.keyboard.press('a')
    await page.getByRole('dialog').getByRole('button', { name: 'Approve', exact: true }).click()
    await page
      .getByText(/^Approved/)
      .first()
      .waitFor()
  })

  test('critical risk: the name of the target is typed, and cannot be pasted', async () => {
    const id = await at.ask({ ...low, title: title('Delete'), risk: 'critical', presentation: { target: 'prod-db' } })
    await open(page, id)
    await page.keyboard.press('a')
    const dialog = page.getByRole('dialog')
    const approve = dialog.getByRole('button', { name: 'Approve', exact: true })
    const input = dialog.getByRole('textbox')
    await input.focus()
    const pasted = `(() => {
      const clipboardData = new DataTransfer()
      clipboardData.setData('text/plain', 'prod-db')
      const paste = new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true })
      return document.activeElement.dispatchEvent(paste)
    })()`
    assert.equal(await page.evaluate(pasted), false, 'the paste was refused')
    assert.equal(await input.inputValue(), '')
    assert.ok(await approve.isDisabled())
    await page.keyboard.type('prod-db')
    await approve.click()
    await page
      .getByText(/^Approved/)
      .first()
      .waitFor()
  })

  test('somebody was first: the request comes back with who and when', async () => {
    const name = title('Restart')
    const id = await at.ask({ ...low, title: name })
    await open(page, id)
    const token = await at.tokenOf(admin)
    // The answer of the other arrives while this page still shows the request as open.
    await page.route('**/api/v1/requests/*/respond', async (route) => {
      await request(at.url, 'POST', `/api/v1/requests/${id}/respond`, { as: token, body: { decision: 'reject' } })
      await route.continue()
    })
    await page.keyboard.press('a')
    await page
      .getByText(/Ada Admin rejected .*Your decision was not taken/)
      .first()
      .waitFor()
    await page.unroute('**/api/v1/requests/*/respond')
    // It is back in the list, and one press away, because the next one may be read by now.
    await page.getByRole('link', { name }).waitFor()
    const back = page.getByRole('button', { name: 'Open it' })
    if (await back.isVisible()) await back.click()
    await page.getByRole('heading', { name }).waitFor()
  })
})

describe('keys are guarded', () => {
  let page: Page
  let close: () => Promise<void>
  before(async () => {
    ;({ page, close } = await openPage(browser, at.url))
    await signIn(page, at.url)
  })
  after(() => close())

  /** Of which requests a decision was sent. */
  const sent: string[] = []
  before(() =>
    page.on('request', (call) => call.url().endsWith('/respond') && sent.push(call.url().split('/').at(-2) ?? '')),
  )

  const a = { key: 'a', code: 'KeyA', bubbles: true, cancelable: true }
  const press = (init: Readonly<Record<string, unknown>>, target = 'body') =>
    page.locator(target).dispatchEvent('keydown', { ...a, ...init })
  /** Until what the last key did would be painted. */
  const painted = 'new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))'
  const undecided = async (id: string): Promise<void> => {
    await page.evaluate(painted)
    assert.equal(await page.getByText(/^Approved/).count(), 0)
    assert.equal(await responseOf(id), null)
  }

  for (const [what, init] of [
    ['held down', { repeat: true }],
    ['during composition', { isComposing: true }],
    ['with Ctrl', { ctrlKey: true }],
    ['with Alt', { altKey: true }],
    ['with Meta', { metaKey: true }],
    ['with Shift', { key: 'A', shiftKey: true }],
  ] as const) {
    test(`${what}, a does nothing`, async () => {
      const id = await at.ask({ ...low, title: title('Guarded') })
      await open(page, id)
      await press(init)
      await undecided(id)
    })
  }

  test('in an input and in an editable element, a is a letter', async () => {
    const id = await at.ask({ ...low, title: title('Guarded') })
    await open(page, id)
    for (const kind of ['input', 'textarea', 'div']) {
      const made = `const element = document.createElement('${kind}')
        element.id = 'written'
        if ('${kind}' === 'div') element.contentEditable = 'true'
        document.body.append(element)`
      await page.evaluate(`{${made}}`)
      await press({}, '#written')
      await page.evaluate("document.getElementById('written').remove()")
    }
    await undecided(id)
  })

  test('single keys that are switched off do nothing, and those with Ctrl still do', async () => {
    const id = await at.ask({ ...low, title: title('Guarded') })
    await page.goto(`${at.url}/settings/appearance`)
    await page.getByRole('group', { name: 'Single-key shortcuts' }).getByLabel('Off').check()
    await open(page, id)
    await press({})
    await undecided(id)
    await page.keyboard.press('Control+k')
    await page.getByRole('combobox').waitFor()
    await page.keyboard.press('Escape')
    await page.goto(`${at.url}/settings/appearance`)
    await page.getByRole('group', { name: 'Single-key shortcuts' }).getByLabel('On').check()
  })

  test('a key of their own approves instead of a, after the page is loaded again; one that is taken is refused', async () => {
    const id = await at.ask({ ...low, title: title('Own key') })
    await page.goto(`${at.url}/settings/appearance`)
    await page.getByRole('button', { name: /^Change the key of “Approve”/ }).click()
    await page.keyboard.press('r')
    await page.getByText(/^R is already the key of “Reject”/).waitFor()
    await page.keyboard.press('Enter')
    await page.getByText('This key cannot be chosen. Press a letter or a sign.').waitFor()
    await page.keyboard.press('v')
    await page.getByRole('button', { name: 'Change the key of “Approve”, now V' }).waitFor()
    await open(page, id)
    await press({})
    await undecided(id)
    await page.keyboard.press('v')
    await page
      .getByText(/^Approved/)
      .first()
      .waitFor()
    await page.goto(`${at.url}/settings/appearance`)
    await page.getByRole('button', { name: 'Give “Approve” its usual key again' }).click()
    await page.getByRole('button', { name: 'Change the key of “Approve”, now A' }).waitFor()
  })

  test('a card that took the place of another is not decided by the same key within 400 ms', async () => {
    /** On a machine that is busy the second key may come late, and then proves nothing: once more. */
    await eventually('two keys within 400 ms', async () => {
      const [first, second] = [title('Twice'), title('Twice')]
      const id = await at.ask({ ...low, title: first, timeout_minutes: 2_000 })
      const nextId = await at.ask({ ...low, title: second, timeout_minutes: 2_001 })
      await open(page, id)
      await page.getByText(second).waitFor()
      const twice = `(async () => {
        const press = () => document.body.dispatchEvent(new KeyboardEvent('keydown', ${JSON.stringify(a)}))
        const shown = () => document.querySelector('#card-title').textContent
        press()
        const from = performance.now()
        while (shown() !== '${second}') await ${painted}
        press()
        return performance.now() - from
      })()`
      sent.length = 0
      const tookMs = Number(await page.evaluate(twice))
      if (tookMs > 380) return false
      await page.evaluate(painted)
      assert.equal(await heading(page).textContent(), second)
      assert.deepEqual(sent, [id])
      assert.equal(await responseOf(nextId), null)
      await eventually('a key works after that', async () => {
        await press({})
        return (await heading(page).textContent()) !== second
      })
      return true
    })
  })

  test('medium risk: the card is seen for a second before a key decides', async () => {
    await eventually('a key within a second', async () => {
      const name = title('Unread')
      const id = await at.ask({ title: name, context: {}, risk: 'medium', timeout_minutes: 1 + number })
      await page.goto(`${at.url}/settings/appearance`)
      await page.goto(`${at.url}/inbox/all/${id}`)
      const early = `(async () => {
        while (document.querySelector('#card-title') === null) await ${painted}
        const from = performance.now()
        document.body.dispatchEvent(new KeyboardEvent('keydown', ${JSON.stringify(a)}))
        return performance.now() - from
      })()`
      if (Number(await page.evaluate(early)) > 500) return false
      await undecided(id)
      await eventually('a key works after that', async () => {
        await press({})
        return (await page.getByText(/^Approved/).count()) > 0
      })
      return true
    })
  })

  test('a decision is about the revision that was painted: on a later one nothing is decided, and it comes back', async () => {
    const id = await at.ask({ ...low, title: title('Revision') })
    await open(page, id)
    // What was painted stays, because the time of the change does not tell of it.
    await at.sql('update consultation_requests set revision = 2 where id = $1', [id])
    await press({})
    await page
      .getByText(/The agent changed this request while you decided/)
      .first()
      .waitFor()
    assert.equal(await responseOf(id), null)
  })
})
