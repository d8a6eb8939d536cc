import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { eventually } from '../../server/test/eventually.ts'
import { startReceiver } from '../../server/test/receivers.ts'
import { request } from '../../server/test/service-process.ts'
import {
  admin,
  type Installation,
  openPage,
  painted,
  reviewer,
  signIn,
  startBrowser,
  startInstallation,
} from './browser.ts'

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
  const press = async (init: Readonly<Record<string, unknown>>, target = 'body'): Promise<void> => {
    await page.evaluate(painted)
    await page.locator(target).dispatchEvent('keydown', { ...a, ...init })
  }
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
    await page.keyboard.press('b')
    await page.getByRole('button', { name: 'Change the key of “Approve”, now B' }).waitFor()
    await open(page, id)
    await press({})
    await undecided(id)
    await page.keyboard.press('b')
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
    const read = (part: string) => page.waitForResponse((reply) => reply.url().includes(`/api/v1/requests${part}`))
    // Whatever the page reads when it begins, it has read before the change, whose time does not tell of it.
    const beginning = [read(`/${id}`), read('?queue=all'), read('?updated_after=')]
    await open(page, id)
    await Promise.all(beginning)
    await at.sql('update consultation_requests set revision = 2 where id = $1', [id])
    await press({})
    await page
      .getByText(/The agent changed this request while you decided/)
      .first()
      .waitFor()
    assert.equal(await responseOf(id), null)
  })
})

describe('many at once', () => {
  let page: Page
  let troubles: string[]
  let close: () => Promise<void>
  before(async () => {
    ;({ page, troubles, close } = await openPage(browser, at.url))
    await signIn(page, at.url)
  })
  after(() => close())

  test('x and Shift+J select, Shift+A approves what may be, what somebody else decided comes back, z takes all of it back', async () => {
    const names = ['One', 'Taken', 'Risky', 'Last'].map((what) => title(what))
    const ids: string[] = []
    for (const [place, name] of names.entries()) {
      const risk = name.startsWith('Risky') ? 'high' : 'low'
      ids.push(await at.ask({ ...low, risk, title: name, timeout_minutes: 3_000 + place }))
    }
    const [one = '', taken = '', risky = '', last = ''] = ids
    await open(page, one)
    await page.getByText(names[3] ?? '').waitFor()
    await page.keyboard.press('x')
    for (const name of names.slice(1)) {
      await page.keyboard.press('Shift+J')
      await page.getByRole('heading', { name }).waitFor()
    }
    const bar = page.getByRole('region', { name: 'What is selected' })
    await bar.getByText('4 selected').waitFor()
    await bar.getByText(`High risk, decided alone: ${names[2]}`).waitFor()
    await bar.getByRole('button', { name: /^Approve 3/ }).waitFor()
    const token = await at.tokenOf(admin)
    await page.route('**/api/v1/requests/respond', async (route) => {
      await request(at.url, 'POST', `/api/v1/requests/${taken}/respond`, { as: token, body: { decision: 'reject' } })
      await route.continue()
    })
    await page.keyboard.press('Shift+A')
    await page.getByText(/^Not done, 1:/).waitFor()
    await page.unroute('**/api/v1/requests/respond')
    await page.getByText('Approved: 2 requests').first().waitFor()
    await page.getByText(/Ada Admin rejected .*Your decision was not taken/).waitFor()
    const told = page.getByRole('status').filter({ hasText: `Not done for 1 request: ${names[1]}` })
    await told.waitFor({ state: 'attached' })
    assert.equal(await bar.count(), 0)
    await page.getByRole('heading', { name: names[2] ?? '' }).waitFor()
    await page.getByRole('link', { name: names[1] ?? '' }).waitFor()
    assert.deepEqual(
      await Promise.all([one, last].map(async (id) => [(await stateOf(id)).state, (await responseOf(id))?.decision])),
      [
        ['pending', 'approve'],
        ['pending', 'approve'],
      ],
    )
    await page.keyboard.press('z')
    await page.getByRole('link', { name: names[3] ?? '' }).waitFor()
    await page.getByRole('link', { name: names[0] ?? '' }).waitFor()
    for (const id of [one, last, risky]) assert.equal(await responseOf(id), null)
    assert.equal((await responseOf(taken))?.decision, 'reject')
    assert.deepEqual(troubles, [])
  })

  test('of medium risk the identical ones are selected together, and rejected with one comment', async () => {
    const name = title('Label the issue')
    const same = { title: name, context: {}, risk: 'medium', timeout_minutes: 3_100 }
    const ids = [await at.ask(same), await at.ask(same), await at.ask(same)]
    await at.ask({ ...same, title: title('Another'), timeout_minutes: 3_101 })
    const rows = page.getByRole('link', { name })
    // They are one row, until somebody unfolds them or reads one of them.
    await page.goto(`${at.url}/inbox/all`)
    const more = page.getByRole('button', { name: '+ 2 more like this' })
    await more.waitFor()
    assert.equal(await rows.count(), 1)
    await more.click()
    await rows.nth(2).waitFor()
    await page.getByRole('button', { name: 'Show fewer like this' }).click()
    await rows.nth(1).waitFor({ state: 'detached' })
    await open(page, ids[1] ?? '')
    await rows.nth(2).waitFor()
    await page.keyboard.press('x')
    await page.getByRole('button', { name: /^Select 2 more like this/ }).waitFor()
    await page.keyboard.press('Shift+X')
    await page.getByText('3 selected').first().waitFor()
    await page.keyboard.press('Shift+R')
    await page.getByRole('dialog', { name: 'Reject 3 requests' }).getByRole('textbox').fill('These are closed.')
    await page.keyboard.press('Control+Enter')
    await page.getByText('Rejected: 3 requests').first().waitFor()
    for (const id of ids) {
      await eventually('it is rejected', async () => (await responseOf(id))?.decision === 'reject')
      assert.equal((await responseOf(id))?.comment, 'These are closed.')
    }
  })

  test('by touch, in Arabic, 320 px wide: all of it is seen, and put aside and brought back', async (t) => {
    const names = [title('Narrow'), title('Narrow')]
    for (const name of names) await at.ask({ ...low, title: name, timeout_minutes: 2 })
    const narrow = await openPage(browser, at.url, {
      viewport: { width: 320, height: 640 },
      hasTouch: true,
    })
    t.after(() => narrow.close())
    await signIn(narrow.page, at.url)
    await narrow.page.evaluate(`localStorage.setItem('hitl-preferences', '{"language":"ar"}')`)
    await narrow.page.goto(`${at.url}/inbox/all`)
    const row = (name: string) => narrow.page.getByRole('link', { name })
    await row(names[0] ?? '').waitFor()
    await narrow.page.getByRole('button', { name: 'تحديد', exact: false }).first().tap()
    for (const name of names) await narrow.page.getByRole('checkbox', { name }).tap()
    const bar = narrow.page.getByRole('region', { name: 'المحدد' })
    await bar.getByText('المحدد: 2').waitFor()
    for (const button of await bar.getByRole('button').all()) {
      const box = await button.boundingBox()
      assert.ok(box !== null && box.x >= 0 && box.x + box.width <= 320 && box.y + box.height <= 640)
      assert.ok(box.height >= 44, 'it is large enough for a finger')
    }
    assert.ok(Number(await narrow.page.evaluate('document.documentElement.scrollWidth')) <= 320)
    await bar.getByRole('button', { name: 'تأجيل' }).tap()
    await narrow.page.getByRole('dialog').getByRole('button').first().tap()
    await narrow.page.getByText('تم التأجيل: طلبان').first().waitFor()
    assert.equal(await row(names[0] ?? '').count(), 0)
    await narrow.page.getByRole('button', { name: /^تراجع/ }).tap()
    for (const name of names) await row(name).waitFor()
    assert.deepEqual(narrow.troubles, [])
  })
})

test('a list is filtered, kept as a view with its number, renamed, followed and deleted', async (t) => {
  const { page, troubles, close } = await openPage(browser, at.url)
  t.after(() => close())
  const [wanted, late, other] = [title('Tagged'), title('Tagged'), title('Untagged')]
  await at.ask({ ...low, title: wanted, tags: ['kept'], timeout_minutes: 3_200 })
  await at.ask({ ...low, title: other, timeout_minutes: 3_201 })
  await signIn(page, at.url)
  await page.getByRole('link', { name: other }).waitFor()
  await page.keyboard.press('f')
  const dialog = page.getByRole('dialog', { name: 'Filter the list' })
  await dialog.getByLabel('Tag').fill('kept')
  await dialog.getByLabel('Low').first().check()
  await page.keyboard.press('Enter')
  await page.waitForURL(/risk=low&tag=kept|tag=kept&risk=low/)
  await page.getByRole('link', { name: wanted }).waitFor()
  assert.equal(await page.getByRole('link', { name: other }).count(), 0)
  // What comes into it later arrives by itself, and the address of a request keeps the filters.
  await at.ask({ ...low, title: late, tags: ['kept'], timeout_minutes: 3_202 })
  await page.getByRole('link', { name: late }).click()
  await page.getByRole('heading', { name: late }).waitFor()
  assert.match(page.url(), /tag=kept/)
  await page.getByRole('button', { name: 'Save this list as a view' }).click()
  await page.getByRole('dialog').getByLabel('Name').fill('Kept ones')
  await page.keyboard.press('Enter')
  const views = page.getByRole('navigation', { name: 'Views' })
  await views.getByRole('link', { name: 'Kept ones 2' }).waitFor()
  await page.getByRole('button', { name: 'Rename the view “Kept ones”' }).click()
  await page.getByRole('dialog').getByLabel('Name').fill('Kept')
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'Clear the filters' }).click()
  await page.getByRole('link', { name: other }).waitFor()
  await page.reload()
  await views.getByRole('link', { name: 'Kept 2' }).click()
  await page.getByRole('link', { name: wanted }).waitFor()
  assert.equal(await page.getByRole('link', { name: other }).count(), 0)
  const current = page.locator('aside [aria-current=page]')
  assert.deepEqual(await current.allTextContents(), ['Kept2'])
  await page.getByRole('button', { name: 'Delete the view “Kept”' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await views.waitFor({ state: 'detached' })

  // Filters by decision, decider and day.
  const [approved, rejected] = [title('Approved'), title('Rejected')]
  for (const [name, decision] of [
    [approved, 'approve'],
    [rejected, 'reject'],
  ] as const) {
    const id = await at.ask({ ...low, title: name })
    const body = { decision, comment: 'Because.' }
    const reply = await request(at.url, 'POST', `/api/v1/requests/${id}/respond`, { as: await reviewerToken(), body })
    assert.equal(reply.status, 200)
  }
  await page.goto(`${at.url}/inbox/done`)
  await page.getByRole('link', { name: approved }).waitFor()
  await page.keyboard.press('f')
  await dialog.getByLabel('Decision').selectOption('reject')
  await dialog.getByLabel('Decided by').selectOption({ label: 'Me' })
  await dialog.getByLabel('Decided after').fill('2026-01-31')
  await page.keyboard.press('Enter')
  await page.waitForURL(/decision=reject/)
  await page.getByRole('link', { name: rejected }).waitFor()
  assert.equal(await page.getByRole('link', { name: approved }).count(), 0)
  const told = await page.getByRole('region', { name: 'Filters of the list' }).innerText()
  assert.match(told, /Decision\s*Rejected/)
  assert.match(told, /Decided by\s*\S/)
  assert.doesNotMatch(told, /[0-9a-f]{8}-/)
  assert.deepEqual(troubles, [])
})
