import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import { request } from '../../server/test/service-process.ts'
import { type Installation, openPage, signIn, startBrowser, startInstallation } from './browser.ts'

const pending = 10_000
const moves = 100
const rounds = 4
const limitMs = 50
/** From the reply to the agent until the page shows what it asked. */
const shownWithinMs = 300

/** Each with what a card usually draws. */
async function fill({ url, apiKey }: Installation): Promise<void> {
  for (let first = 0; first < pending; first += 100) {
    const requests = Array.from({ length: 100 }, (_, each) => {
      const number = first + each
      return {
        title: `Refund order ${number}`,
        risk: ['low', 'medium', 'high'][number % 3],
        timeout_minutes: 60 + number,
        justification: 'The parcel was lost on its way, and the carrier **confirmed** it.',
        action: { name: 'refunds.create', args: { order: number, lines: [{ sku: `s-${number}`, count: 1 }] } },
        context: { amount: `${number}.00`, url: `https://shop.example/orders/${number}`, tags: ['a', 'b'] },
      }
    })
    const reply = await request(url, 'POST', '/api/v1/requests/batch', { as: apiKey, body: { requests } })
    assert.equal(reply.status, 201, JSON.stringify(reply.body))
  }
}

const frame = '() => new Promise((resolve) => requestAnimationFrame(resolve))'
const press = `(repeat) => (document.activeElement ?? document.body).dispatchEvent(
  new KeyboardEvent('keydown', { key: 'j', code: 'KeyJ', bubbles: true, cancelable: true, repeat }))`

/** Scrolls until every page is there. */
const loadAll = `(async () => {
  const frame = ${frame}
  const list = document.querySelector('main ul').parentElement
  while (document.querySelector('main li[aria-setsize="${pending}"]') === null) {
    list.scrollTo({ top: list.scrollHeight })
    await frame()
  }
})()`

/** The times from a key to the end of the frame that paints the next card, each after a rest. */
const walk = `(async () => {
  const [frame, press] = [${frame}, ${press}]
  const title = () => document.querySelector('#card-title').textContent
  const drawn = () => new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = resolve
    port2.postMessage(null)
  })
  const times = []
  for (let move = 0; move < ${moves}; move += 1) {
    const [before, from] = [title(), performance.now()]
    press(false)
    do await frame(); while (title() === before)
    await drawn()
    times.push(performance.now() - from)
    while (performance.now() - from < 150) await frame()
  }
  return times
})()`

/** When the page shows the text; by the clock of this machine, which is that of the page. */
const seen = (text: string): string => `new Promise((resolve) => {
  const look = () => document.querySelector('main').textContent.includes('${text}') && resolve(Date.now())
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true })
})`

/** The times between frames while the key is held down. */
const hold = `(async () => {
  const [frame, press] = [${frame}, ${press}]
  const times = []
  let last = performance.now()
  let pressedAt = 0
  for (let pressed = 0; pressed < ${moves};) {
    if (last - pressedAt >= 30) {
      press(pressed > 0)
      pressed += 1
      pressedAt = last
    }
    await frame()
    times.push(performance.now() - last)
    last += times.at(-1)
  }
  return times
})()`

const p95 = (times: readonly number[]): number => times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.95)] ?? 0

/** Of a request that is asked now and comes to the top of the list: how long after the reply it is there. */
async function shownAfter({ page, at, name }: { page: Page; at: Installation; name: string }): Promise<number> {
  const seenAt = page.evaluate(seen(name))
  await at.ask({ title: name, timeout_minutes: 30, context: {} })
  const repliedAt = Date.now()
  return Number(await seenAt) - repliedAt
}

test(`with ${pending} pending requests, j paints the next one within ${limitMs} ms (p95), also while it is held, and a new one is there within ${shownWithinMs} ms`, async (t) => {
  const [at, browser] = await Promise.all([startInstallation(), startBrowser()])
  try {
    await fill(at)
    const { page, troubles } = await openPage(browser, at.url)
    await signIn(page, at.url)
    await page.locator('#card-title').waitFor()
    await page.evaluate(loadAll)
    for (const [what, script] of [
      ['to the next card', walk],
      ['between frames while j is held', hold],
    ] as const) {
      /** A machine that is busy may take longer, and a new page has yet to be compiled: once more. */
      const measured: number[] = []
      while (measured.length < rounds && !(Math.min(...measured) <= limitMs)) {
        measured.push(p95((await page.evaluate(script)) as readonly number[]))
      }
      t.diagnostic(`${what}: p95 ${measured.map((ms) => ms.toFixed(0)).join(', ')} ms`)
      assert.ok(Math.min(...measured) <= limitMs, `${what}: p95 ${measured.join(', ')} ms`)
    }
    // To the top of the list, where the next one will be.
    await page.locator('main li').first().click()
    await page.keyboard.press('Home')
    const waits: number[] = []
    while (waits.length < rounds && !(Math.min(...waits) <= shownWithinMs)) {
      waits.push(await shownAfter({ page, at, name: `Restart worker ${waits.length}` }))
    }
    t.diagnostic(`a new request: ${waits.join(', ')} ms`)
    assert.ok(Math.min(...waits) <= shownWithinMs, `a new request: ${waits.join(', ')} ms`)
    assert.deepEqual(troubles, [])
  } finally {
    await browser.close()
    await at.stop()
  }
})
