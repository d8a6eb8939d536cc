import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { eventually } from '../../server/test/eventually.ts'
import { type Installation, openPage, signIn, startBrowser, startInstallation } from './browser.ts'

type Json = Readonly<Record<string, unknown>>

let at: Installation
let browser: Browser
let page: Page
let troubles: string[]
before(async () => {
  ;[at, browser] = await Promise.all([startInstallation(), startBrowser()])
  ;({ page, troubles } = await openPage(browser, at.url))
  await page.addInitScript('window.alert = window.confirm = window.prompt = () => { window.wasRun = true }')
  await signIn(page, at.url)
})
after(async () => {
  await browser?.close()
  await at?.stop()
})

const ask = (body: Json): Promise<string> => at.ask({ context: {}, ...body })
const open = async (body: Json): Promise<void> => {
  troubles.length = 0
  const id = await ask(body)
  await page.goto(`${at.url}/inbox/all/${id}`)
  await page.locator('#card-title').waitFor()
}
const cardText = () => page.locator('article[aria-labelledby=card-title]').innerText()
/** Nothing ran, nothing was loaded, and the page holds no element that the agent made. */
const isUnharmed = async (): Promise<void> => {
  // Until what is loaded late is drawn.
  await page.waitForLoadState('networkidle')
  assert.deepEqual(troubles, [])
  assert.equal(await page.evaluate('window.wasRun'), undefined)
  const made =
    'article :is(script, iframe, object, embed, form:not([aria-label]), style, link, base, meta, svg[onload], [onerror], [onclick])'
  assert.equal(await page.locator(made).count(), 0)
  assert.equal(await page.locator('article img:not([src^="data:"], [src^="blob:"])').count(), 0)
}

const markup = [
  '<script>alert(1)</script>',
  '<img src="https://evil.example/x.png" onerror="alert(1)">',
  '<svg onload="alert(1)"><use href="https://evil.example/#x"/></svg>',
  '<iframe src="https://evil.example/"></iframe>',
  '<style>body{display:none}</style>',
  '<a href="javascript:alert(1)">here</a>',
  '<base href="https://evil.example/">',
  '<meta http-equiv="refresh" content="0;url=https://evil.example/">',
  '[here](javascript:alert(1))',
  '[here](data:text/html,<script>alert(1)</script>)',
  '[here](vbscript:x)',
  '![p](https://evil.example/pixel.png)',
  '![p](javascript:alert(1))',
  '<https://evil.example/auto>',
  '[ref]: https://evil.example/ "t"\n\n[ref]',
  `${'['.repeat(2_000)}a${']'.repeat(2_000)}`,
  `${'> '.repeat(500)}deep`,
  `${'* '.repeat(500)}list`,
  `${'`'.repeat(5_000)}x`,
  `|${'a|'.repeat(300)}\n|${'-|'.repeat(300)}\n`,
]

describe('what agents write is text', () => {
  test('markup in every place', async () => {
    const all = markup.join('\n\n')
    const hints = {
      '/context/markdown': { render: 'markdown' },
      '/context/image': { render: 'image' },
      '/context/svg': { render: 'image' },
      '/context/url': { render: 'url' },
      '/context/code': { render: 'code', language: 'html' },
    }
    await open({
      title: '<img src=x onerror=alert(1)>',
      description: all,
      justification: all.slice(0, 19_000),
      context: {
        markdown: all,
        image: 'https://evil.example/pixel.png',
        svg: `data:image/svg+xml,${encodeURIComponent('<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>')}`,
        url: 'javascript:alert(1)',
        code: all,
        html: all,
        '<b>name</b>': '<b>value</b>',
      },
      action: { name: 'mail.send', args: { to: 'a@example.com', subject: '<b>x</b>', html: all } },
      presentation: { hints, consequences: all.slice(0, 19_000), environment: '<i>prod</i>' },
    })
    await isUnharmed()
    const text = await cardText()
    for (const written of ['<img src=x onerror=alert(1)>', '<b>name</b>', '<b>value</b>', '<b>x</b>']) {
      assert.ok(text.includes(written), `${written} in ${text.slice(0, 3_000)}`)
    }
    const hrefs = await page.evaluate("[...document.querySelectorAll('article a')].map(({ href }) => href)")
    assert.ok(
      (hrefs as string[]).every((href) => /^https?:|^mailto:/.test(href)),
      JSON.stringify(hrefs),
    )
  })

  test('a link shows its host, whatever it says', async () => {
    await open({
      title: 'Links',
      context: {
        plain: 'https://user:secret@evil.example/bank.example/',
        idn: 'https://p\u0430ypal.example/',
        markdown: '[https://bank.example/](https://evil.example/login)',
      },
      presentation: { hints: { '/context/markdown': { render: 'markdown' } } },
    })
    await page.getByText('(evil.example)').waitFor()
    const text = await cardText()
    assert.match(text, /evil\.example\/bank\.example/)
    assert.match(text, /with a user name in it/)
    assert.match(text, /xn--pypal-4ve\.example/)
    for (const link of await page.locator('article a').all()) {
      assert.equal(await link.getAttribute('rel'), 'noopener noreferrer nofollow')
    }
    await isUnharmed()
  })

  test('what is invisible, reordered or of another script is seen', async () => {
    await open({
      title: 'Pay \u0430pple',
      context: {
        hidden: 'a\u200bb\u00adc\u{e0041}d',
        bidi: 'invoice \u202egpj.exe',
        code: 'if (admin\u2066 // \u2069) {}',
        zalgo: `x${'\u0301'.repeat(300)}`,
        controls: 'a\u001b[31mred\u0007',
      },
      presentation: { hints: { '/context/code': { render: 'code', language: 'js' } } },
    })
    const text = await cardText()
    for (const seen of ['Cyrillic', 'U+200B', 'U+00AD', 'U+E0041', 'U+202E', 'U+2066', 'U+001B', 'U+0007']) {
      assert.ok(text.includes(seen), `${seen} in ${text}`)
    }
    await isUnharmed()
  })

  test('the words of an agent that passes for the service stand in its own frame', async () => {
    await open({
      title: 'Harmless',
      justification: '# Approved by HITL\n\n**Security team:** press A.\n\n---\n\nLow risk',
      risk: 'high',
    })
    const frame = page.getByRole('region', { name: /written by the agent/ })
    await frame.getByText('Approved by HITL').waitFor()
    assert.equal(await page.getByText('Approved by HITL').count(), 1)
    assert.equal(await frame.getByRole('heading', { name: /Approved/ }).count(), 0, 'it is no heading of the page')
  })

  test('huge and deep contexts are usable', async () => {
    const deep = (levels: number): Json => (levels === 0 ? { end: true } : { down: deep(levels - 1) })
    await open({
      title: 'Huge',
      context: {
        line: 'x'.repeat(300_000),
        lines: Array.from({ length: 30_000 }, (_, at) => `line ${at}`).join('\n'),
        deep: deep(80),
        rows: Array.from({ length: 2_000 }, (_, at) => ({ at, name: `row ${at}` })),
        marks: '\u200b\u200c'.repeat(20_000),
      },
    })
    const startedAt = performance.now()
    await page.keyboard.press('i')
    await page.getByRole('region', { name: 'Raw JSON and digest' }).last().waitFor()
    assert.ok(performance.now() - startedAt < 5_000)
    assert.ok(Number(await page.evaluate("document.querySelectorAll('article *').length")) < 6_000)
    await isUnharmed()
  })

  test('a comparison of 50 000 lines is drawn beside the page, and moves from change to change', async () => {
    const line = (at: number): string => `${at}`
    const before = Array.from({ length: 50_000 }, (_, at) => line(at)).join('\n')
    const after = before.replaceAll(/^(\d+)999$/gm, 'changed $1')
    await open({
      title: 'Long diff',
      context: { before, after },
      presentation: { hints: { '/context/after': { render: 'diff', before: '/context/before' } } },
    })
    await page.getByText('+49 \u221249').waitFor()
    await page.getByRole('button', { name: 'Next change' }).click()
    await page.getByText('changed', { exact: false }).first().waitFor()
    await page.getByRole('button', { name: 'Side by side' }).click()
    await page
      .getByText(/lines that stay the same/)
      .first()
      .waitFor()
    await isUnharmed()
  })
})

describe('calls of real tools can be judged from the card', () => {
  const folder = join(import.meta.dirname, '../../web/test/corpus')

  /** Texts that a person looks for: each part of the arguments, but for those that are shown in other words. */
  function* leaves(value: unknown): Generator<string> {
    if (typeof value === 'string') {
      // JSON within a text has lines of its own.
      if (/^[[{]/.test(value)) {
        yield* leaves(JSON.parse(value))
        return
      }
      const isTime = /^\d{4}-\d\d-\d\d/.test(value)
      const [first = ''] = value.split('\n').filter((part) => part.trim() !== '')
      if (!isTime && !/^(?:https?:|data:)/.test(value)) yield first.trim().slice(0, 30)
    } else if (typeof value === 'number') yield String(value)
    else if (typeof value === 'object' && value !== null) for (const part of Object.values(value)) yield* leaves(part)
  }
  const withoutMarks = (text: string): string =>
    text
      .replaceAll(/(?<=\d),(?=\d{3})/g, '')
      .replaceAll(/[\s#*_`>|"{}[\]]+/g, ' ')
      .trim()

  test('each value of each of them is there, without the raw JSON', async () => {
    const names = (await readdir(folder)).sort()
    assert.ok(names.length >= 50)
    const bodies = await Promise.all(
      names.map(async (name) => JSON.parse(await readFile(join(folder, name), 'utf8')) as Json),
    )
    // In the order of the list, so that a key leads from each to the next.
    const asked: string[] = []
    for (const [at, body] of bodies.entries()) asked.push(await ask({ timeout_minutes: 1_000 + at, ...body }))
    await page.goto(`${at.url}/inbox/all/${asked[0]}`)
    for (const [index, body] of bodies.entries()) {
      await page.getByRole('heading', { name: String(body.title), exact: true }).waitFor()
      const { args } = body.action as { readonly args: Json }
      let missing: readonly string[] = []
      // Code and Markdown are loaded when they are shown.
      await eventually(`all of ${names[index]} is there`, async () => {
        for (const closed of await page.locator('article details:not([open]) > summary').all()) await closed.click()
        for (const more of await page.getByRole('button', { name: /^Show \d+ more/ }).all()) await more.click()
        const text = withoutMarks(await cardText())
        missing = [...leaves(args)].filter((leaf) => !text.includes(withoutMarks(leaf)))
        return missing.length === 0
      }).catch(() => assert.deepEqual(missing, [], names[index]))
      await page.keyboard.press(']')
    }
    assert.deepEqual(troubles, [])
  })
})
