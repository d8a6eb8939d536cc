import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import { eventually } from '../../server/test/eventually.ts'
import { request } from '../../server/test/service-process.ts'
import { abroad, flaws } from './axe.ts'
import { type House, owner, setUp, startHouse } from './house.ts'

let house: House
let page: Page
let troubles: string[]
before(async () => {
  house = await startHouse()
  ;({ page, troubles } = await house.open())
})
after(() => house?.stop())

const outside = ['/sign-in', '/setup', '/password/forgot', '/password/reset', '/email/confirm']
const settings = [
  'profile',
  'security',
  'sessions',
  'appearance',
  'people',
  'teams',
  'agents',
  'identity-providers',
  'organization',
]
const inside = ['/overview', '/callbacks', '/audit', ...settings.map((name) => `/settings/${name}`)]

/** The dialogs of forms: where they are, and the button that opens each. */
const dialogs: readonly (readonly [string, string])[] = [
  ['/settings/people', 'Invite a person'],
  ['/settings/security', 'Change your password'],
  ['/settings/agents', 'Register an agent'],
  ['/settings/agents', 'Stop billing-agent'],
  ['/callbacks', 'Attempts to deliver to http://127.0.0.1:9'],
  ['/settings/identity-providers', 'Add an identity provider'],
  ['/audit', 'Details of session.opened'],
]

/** One of everything that the pages list, because an empty list has no flaws. */
async function furnish({ url }: House): Promise<void> {
  const body = { username: owner.email, password: owner.password }
  const { access_token: as } = (await request(url, 'POST', '/api/v1/auth/login', { body })).body
  const make = async (path: string, given: object, by = as) => {
    const reply = await request(url, 'POST', `/api/v1${path}`, { as: by, body: given })
    assert.ok(reply.status < 300, `${path}: ${JSON.stringify(reply.body)}`)
    return reply.body
  }
  await make('/teams', { name: 'Payments', description: 'They pay.' })
  await make('/invitations', { role: 'reviewer' })
  const agent = await make('/agents', { name: 'billing-agent' })
  await make(`/agents/${agent.id}/pause`, { reason: 'It repeats itself.' })
  const { key } = await make('/api-keys', { name: 'asking' })
  const callback_webhook = 'http://127.0.0.1:9/nobody-listens'
  const { id } = await make(
    '/requests',
    { title: 'A first one', context: {}, callback_webhook, callback_retry_seconds: [] },
    key,
  )
  await make(`/requests/${id}/respond`, { decision: 'approve' })
  await eventually('the callback failed', async () => {
    const { body: found } = await request(url, 'GET', '/api/v1/callbacks?status=failed', { as })
    return found.items.length === 1 ? true : null
  })
}

describe('no flaw that axe finds, in light, dark and forced colours, at 1280 and 320 px', () => {
  for (const path of outside) {
    test(path, async () => {
      await page.goto(house.url + path)
      await page.getByRole('heading', { level: 1 }).waitFor()
      assert.deepEqual(await flaws(page), [])
    })
  }

  test('the pages behind the sign-in', async (context) => {
    await setUp(page, house)
    await page.getByRole('heading', { name: 'Nothing has been asked yet' }).waitFor()
    assert.deepEqual(await flaws(page), [], 'an inbox in which nothing was asked yet')
    await furnish(house)
    for (const path of inside) {
      await context.test(path, async () => {
        await page.goto(house.url + path)
        await page.getByRole('heading', { level: 1 }).waitFor()
        assert.deepEqual(await flaws(page), [])
      })
    }
    for (const [path, button] of dialogs) {
      await context.test(`${path}, with the dialog: ${button}`, async () => {
        await page.goto(house.url + path)
        await page.getByRole('button', { name: button }).first().click()
        await page.getByRole('dialog').waitFor()
        // What is behind it is behind a veil.
        assert.deepEqual(await flaws(page, '[role=dialog]'), [])
        await page.keyboard.press('Escape')
        await page.getByRole('dialog').waitFor({ state: 'detached' })
        assert.equal(
          await page.evaluate('document.activeElement?.getAttribute("aria-label")'),
          button,
          'the focus is where it was',
        )
      })
    }
    assert.deepEqual(troubles, [])
  })

  test('from right to left', async (context) => {
    const out = await house.open({ locale: 'ar', reducedMotion: 'reduce' })
    await page.evaluate("localStorage.setItem('hitl-preferences', JSON.stringify({ language: 'ar' }))")
    for (const [at, paths] of [
      [out.page, outside],
      [page, inside],
    ] as const) {
      for (const path of paths) {
        await context.test(path, async () => {
          await at.goto(house.url + path)
          await at.getByRole('heading', { level: 1 }).waitFor()
          assert.equal(await at.evaluate('document.documentElement.dir'), 'rtl')
          assert.deepEqual(await flaws(at, 'html', abroad), [])
        })
      }
    }
    assert.deepEqual([...troubles, ...out.troubles], [])
    await out.close()
  })

  test('every route of the application is looked at here, or in the tests of the inbox', async () => {
    const source = await readFile(join(import.meta.dirname, '../../web/src/app/routes.tsx'), 'utf8')
    const routes = [...source.matchAll(/path: '([^']+)'/g)].map(([, path = '']) => path)
    const known = [...outside, ...inside, ...settings, '/', '/settings', '/inbox/$queue', '/$id']
    assert.ok(routes.length > 15, routes.join())
    assert.deepEqual(
      routes.filter((route) => !known.includes(route)),
      [],
    )
  })
})
