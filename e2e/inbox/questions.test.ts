import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { eventually } from '../../server/test/eventually.ts'
import { startReceiver } from '../../server/test/receivers.ts'
import { request } from '../../server/test/service-process.ts'
import { type Installation, openPage, signIn, startBrowser, startInstallation } from './browser.ts'

type Json = Readonly<Record<string, unknown>>

let at: Installation
let browser: Browser
let page: Page
let troubles: string[]
let receiver: Awaited<ReturnType<typeof startReceiver>>
before(async () => {
  ;[at, browser, receiver] = await Promise.all([startInstallation(), startBrowser(), startReceiver()])
  ;({ page, troubles } = await openPage(browser, at.url))
  await signIn(page, at.url)
})
after(async () => {
  await browser?.close()
  await at?.stop()
  await receiver?.close()
})
beforeEach(() => {
  troubles.length = 0
})

const ask = async (body: Json): Promise<string> => {
  const id = await at.ask({ risk: 'low', context: {}, callback_webhook: receiver.url, ...body })
  await page.goto(`${at.url}/inbox/all/${id}`)
  await page.locator('#card-title').waitFor()
  return id
}
const send = (name: string) => page.getByRole('button', { name: new RegExp(`^${name}\\s*:`) }).click()

/** What the agent's receiver was told, once the hold is over. */
const received = (id: string): Promise<Json> =>
  eventually(`the answer to ${id} is received`, () => {
    const bodies = receiver.requests.map(({ body }) => JSON.parse(String(body)) as Json)
    return (bodies.find(({ request_id }) => request_id === id)?.response as Json | undefined) ?? null
  })
/** As the service has it, held back or not. */
const answered = async (id: string): Promise<Json> => {
  const as = await at.tokenOf({ email: 'reviewer@example.com', password: 'password123' })
  return eventually('it is answered', async () => {
    const { body } = await request(at.url, 'GET', `/api/v1/requests/${id}`, { as })
    return body.response as Json | null
  })
}
const isOpen = async (id: string): Promise<boolean> =>
  (await request(at.url, 'GET', `/api/v1/requests/${id}`, { as: at.apiKey })).body.state === 'pending'

const items = [
  { id: 'a', label: 'Draft A', description: 'Short and friendly' },
  { id: 'b', label: 'Draft B', requires_comment: true },
  { id: 'c', label: 'Draft C' },
]

describe('each kind of question is answered in the card', () => {
  test('decisions, any of them in the order asked for', async () => {
    const id = await ask({ title: 'Import was late', answer: { decisions: ['acknowledge'] } })
    await page.keyboard.press('a')
    assert.equal((await answered(id)).decision, 'acknowledge')
    await ask({ title: 'Two ways', answer: { decisions: ['reject', 'approve'] } })
    const names = await page.getByRole('button', { name: /: Two ways$/ }).allTextContents()
    assert.deepEqual(
      names.map((name) => name.split(':')[0]),
      ['Reject', 'Approve'],
    )
    assert.deepEqual(troubles, [])
  })

  test('one option, whose comment is demanded', async () => {
    const id = await ask({ title: 'Which draft', answer: { decisions: [], options: { mode: 'single', items } } })
    await page.getByText('Draft A').waitFor()
    await send('Send answer')
    await page.getByText('needs one choice').waitFor()
    await page.getByText('Draft B').click()
    await send('Send answer')
    await page.getByRole('textbox', { name: /comment/i }).fill('It is the only one with a date.')
    await page.keyboard.press('Control+Enter')
    const { decision, choices, comment } = await received(id)
    assert.deepEqual([decision, choices, comment], [null, ['b'], 'It is the only one with a date.'])
    assert.deepEqual(troubles, [])
  })

  test('several options, no more than may be', async () => {
    const id = await ask({ title: 'Drafts', answer: { decisions: [], options: { mode: 'multiple', max: 2, items } } })
    await page.getByLabel(/Draft C/).check()
    await page.getByLabel(/Draft A/).check()
    assert.ok(await page.getByLabel(/Draft B/).isDisabled())
    await send('Send answer')
    assert.deepEqual((await answered(id)).choices, ['a', 'c'])
  })

  test('a ranking, by keys alone', async () => {
    const id = await ask({ title: 'Rank', answer: { decisions: [], options: { mode: 'ranked', items } } })
    for (const name of ['Draft A', 'Draft B', 'Draft C']) {
      await page.getByRole('list', { name: 'Not ranked' }).getByRole('button', { name }).focus()
      await page.keyboard.press('Enter')
    }
    await page.getByRole('list', { name: 'Ranked' }).getByRole('button', { name: /^3/ }).focus()
    await page.keyboard.press('Alt+ArrowUp')
    await page.keyboard.press('Alt+ArrowUp')
    await send('Send answer')
    await page.getByRole('textbox', { name: /comment/i }).fill('C is best.')
    await page.keyboard.press('Control+Enter')
    assert.deepEqual((await answered(id)).choices, ['c', 'a', 'b'])
  })

  test('a form, with its errors at the fields, the focus on the first, and what was filled in in its types', async () => {
    const form = {
      type: 'object',
      properties: {
        city: { type: 'string', title: 'City', minLength: 1 },
        day: { type: 'string', format: 'date', title: 'Day' },
        kind: {
          title: 'How',
          oneOf: [
            { const: 'room', title: 'In a room' },
            { const: 'call', title: 'A call' },
          ],
        },
        link: { type: 'string', format: 'uri', title: 'Link' },
        seats: { type: 'integer', minimum: 1, maximum: 40, title: 'Seats', 'x-unit': 'seats' },
        catering: { type: 'boolean', title: 'Catering' },
        note: { type: 'string', 'x-multiline': true, title: 'Note' },
        guests: {
          type: 'array',
          title: 'Guests',
          items: { type: 'object', properties: { name: { type: 'string', title: 'Name' } }, required: ['name'] },
        },
        code: { type: 'string', pattern: '^[A-Z]{2}\\d{3}$', title: 'Code', default: 'AB123' },
      },
      required: ['city', 'kind', 'seats', 'catering'],
      additionalProperties: false,
      if: { properties: { kind: { const: 'call' } }, required: ['kind'] },
      // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema
      then: { required: ['link'] },
    }
    const id = await ask({ title: 'Meeting', answer: { decisions: [], form } })
    await page.getByText('City').waitFor()
    assert.equal(await page.getByLabel('Link').count(), 0, 'it is asked for with a call only')
    await send('Send answer')
    await page.getByText('City is required').waitFor()
    await eventually(
      'the first wrong field has the focus',
      async () => (await page.locator(':focus').getAttribute('id')) === '/data/city',
    )
    await page.keyboard.type('Graz')
    await page.getByLabel('A call').check()
    await page.getByLabel('Link').fill('not a link')
    await page.getByLabel('Seats').fill('41')
    await page.getByRole('group', { name: 'Catering' }).getByLabel('No').check()
    await page.getByLabel('Day').fill('2026-02-14')
    await page.getByLabel('Note').fill('By the window.\nThank you.')
    for (const name of ['Ana', 'Ben']) {
      await page.getByRole('button', { name: 'Add an entry' }).click()
      await page.getByLabel('Name').last().fill(name)
    }
    await page.getByRole('button', { name: 'Move up: Entry 2' }).click()
    await send('Send answer')
    await page.getByText('Seats must be 40 or less').waitFor()
    await page.getByText('Link must be an address').waitFor()
    assert.ok(await isOpen(id))
    await page.getByLabel('Seats').fill('12')
    await page.getByLabel('Link').fill('https://meet.example.com/a')
    await send('Send answer')
    assert.deepEqual((await received(id)).data, {
      code: 'AB123',
      city: 'Graz',
      kind: 'call',
      link: 'https://meet.example.com/a',
      seats: 12,
      catering: false,
      day: '2026-02-14',
      note: 'By the window.\nThank you.',
      guests: [{ name: 'Ben' }, { name: 'Ana' }],
    })
    assert.deepEqual(troubles, [])
  })

  test('edited arguments keep their types; the change is shown before it is approved', async () => {
    const action = {
      name: 'refunds.create',
      args: { charge: 'ch_812', amount: 40, notify: true, to: ['ana@example.com'], note: null },
      args_schema: {
        type: 'object',
        properties: { amount: { type: 'number', maximum: 50, title: 'Amount', 'x-unit': 'EUR' } },
        required: ['amount'],
      },
    }
    const id = await ask({ title: 'Refund', action, answer: { edit_args: true } })
    await page.keyboard.press('e')
    await page.getByLabel('Amount').fill('51')
    await send('Approve with changes')
    await page.getByText('Amount must be 50 or less').waitFor()
    await page.getByLabel('Amount').fill('35.5')
    await page.getByRole('region', { name: 'Your changes' }).getByText('35.5').waitFor()
    await send('Approve with changes')
    const { args, args_patch } = await received(id)
    assert.deepEqual(args, { ...action.args, amount: 35.5 })
    assert.deepEqual(args_patch, [{ op: 'replace', path: '/amount', value: 35.5 }])
    assert.deepEqual(troubles, [])
  })

  test('a rejection leaves out what only an approval needs', async () => {
    const form = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
    const id = await ask({ title: 'Reject it', answer: { decisions: ['approve', 'reject'], form } })
    await page.keyboard.press('r')
    await page.getByText('Why not?').first().waitFor()
    await page.keyboard.press('1')
    await page.keyboard.press('Control+Enter')
    const { decision, data } = await answered(id)
    assert.deepEqual([decision, data], ['reject', null])
  })

  test('free text, and only with a text', async () => {
    const id = await ask({ title: 'What to reply', answer: { decisions: [], comment: 'required' } })
    await send('Send answer')
    await page.keyboard.press('Control+Enter')
    await page.getByText('This takes a few words.').waitFor()
    await page.getByRole('textbox', { name: /comment/i }).fill('It is on its way.')
    await page.keyboard.press('Control+Enter')
    assert.equal((await answered(id)).comment, 'It is on its way.')
  })

  test('at high risk an answer is confirmed, and edited arguments take a reason', async () => {
    const action = { name: 'refunds.create', args: { amount: 40 } }
    const id = await ask({ title: 'Large refund', action, answer: { edit_args: true }, risk: 'high' })
    await page.keyboard.press('e')
    await page.getByLabel('Amount').fill('20')
    await send('Approve with changes…')
    await page.getByLabel(/Required/).fill('Half of it was returned.')
    await page.keyboard.press('Control+Enter')
    const dialog = page.getByRole('dialog')
    await dialog.getByText('20').waitFor()
    assert.ok(await isOpen(id))
    await dialog.getByRole('button', { name: 'Approve', exact: true }).click()
    const { args, comment } = await answered(id)
    assert.deepEqual([args, comment], [{ amount: 20 }, 'Half of it was returned.'])
  })

  test('files of an answer, as many as asked for', async () => {
    const id = await ask({ title: 'Which invoice', answer: { decisions: [], attachments: { min: 1, max: 2 } } })
    await page.getByRole('button', { name: 'Add a file' }).waitFor()
    await send('Send answer')
    await page.getByText('needs a file').waitFor()
    const chosen = (name: string, text: string) => ({ name, mimeType: 'text/plain', buffer: Buffer.from(text) })
    await page.locator('input[type=file]').setInputFiles([chosen('a.txt', 'one'), chosen('b.txt', 'two')])
    await page.getByRole('button', { name: 'Remove: b.txt' }).waitFor()
    await page.getByRole('button', { name: 'Remove: a.txt' }).click()
    await page.getByRole('button', { name: 'Remove: a.txt' }).waitFor({ state: 'detached' })
    await send('Send answer')
    const files = (await received(id)).attachments as readonly Json[]
    assert.deepEqual(
      files.map(({ name, size }) => [name, size]),
      [['b.txt', 3]],
    )
    assert.deepEqual(troubles, [])
  })

  test('files of the request are shown and saved', async () => {
    const id = await ask({ title: 'With a file' })
    const form = new FormData()
    form.set('file', new Blob(['sku,count\nA-1,2\n'], { type: 'text/csv' }), 'stock.csv')
    const headers = { authorization: `Bearer ${at.apiKey}` }
    const reply = await fetch(`${at.url}/api/v1/requests/${id}/attachments`, { method: 'POST', headers, body: form })
    assert.equal(reply.status, 201, await reply.text())
    await page.reload()
    await page.getByRole('button', { name: 'Show stock.csv' }).click()
    await page.getByText('A-1,2').waitFor()
    const download = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Save stock.csv' }).click()
    assert.equal((await download).suggestedFilename(), 'stock.csv')
    assert.deepEqual(troubles, [])
  })
})

describe('random keys decide nothing that is dangerous', () => {
  // Without Tab and Ctrl+Enter, with which a person moves to a button or sends on purpose.
  const keys = ['a', 'r', 'c', 'e', 'd', 'i', 'y', '1', '2', '9', 'Enter', ' ', 'Escape', 'Backspace', 'A']
  let seed = 20_261_130
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((seed / 2 ** 32) * below)
  }
  for (const risk of ['high', 'critical']) {
    test(`${risk} risk, 20 sequences in a browser`, async () => {
      const action = { name: 'volumes.delete', args: { volume: 'prod-db' } }
      const id = await ask({ title: `Delete ${risk}`, risk, action, answer: { edit_args: true } })
      for (let run = 0; run < 20; run += 1) {
        await page.keyboard.press('a')
        for (let at = 0; at < 10; at += 1) await page.keyboard.press(keys[random(keys.length)] ?? 'a')
        // Out of whatever is open, for the next sequence.
        for (let at = 0; at < 3; at += 1) await page.keyboard.press('Escape')
        await page.evaluate('document.activeElement?.blur()')
      }
      assert.ok(await isOpen(id))
      const as = await at.tokenOf({ email: 'reviewer@example.com', password: 'password123' })
      assert.equal((await request(at.url, 'GET', `/api/v1/requests/${id}`, { as })).body.response, null)
      assert.deepEqual(troubles, [])
    })
  }
})
