import assert from 'node:assert/strict'
import { glob, readFile } from 'node:fs/promises'
import { join, normalize } from 'node:path'
import { test } from 'node:test'
import { compileMessage } from '@lingui/message-utils/compileMessage'
import { isLater } from '../src/words/areas.ts'

const src = join(import.meta.dirname, '../src')
const readWords = async (name: string): Promise<Record<string, string>> =>
  JSON.parse(await readFile(join(src, 'words', name), 'utf8'))

async function sources(): Promise<readonly (readonly [string, string])[]> {
  const found: [string, string][] = []
  for await (const name of glob('**/*.{ts,tsx}', { cwd: src })) {
    if (!name.endsWith('.gen.ts')) found.push([name, await readFile(join(src, name), 'utf8')])
  }
  return found
}

/** The values that a message names, so that a translation can be held to the same ones. */
function valuesOf(message: string): readonly string[] {
  const named = new Set<string>()
  const walk = (part: unknown): void => {
    if (Array.isArray(part)) {
      const [name, ...rest] = part
      if (typeof name === 'string') named.add(name)
      rest.forEach(walk)
    } else if (typeof part === 'object' && part !== null) {
      for (const inner of Object.values(part)) if (Array.isArray(inner)) inner.forEach(walk)
    }
  }
  const compiled = compileMessage(message)
  if (Array.isArray(compiled)) compiled.forEach(walk)
  return [...named].filter((name) => name !== '#').sort()
}

test('every message is valid ICU, and every translation has the same messages with the same values', async () => {
  const english = await readWords('en.json')
  assert.ok(Object.keys(english).length > 20)
  for await (const name of glob('*.json', { cwd: join(src, 'words') })) {
    const words = await readWords(name)
    assert.deepEqual(Object.keys(words).sort(), Object.keys(english).sort(), name)
    for (const [word, message] of Object.entries(words)) {
      assert.deepEqual(valuesOf(message), valuesOf(english[word] ?? ''), `${name}: ${word}`)
    }
  }
})

test('every message is used', async () => {
  const code = (await sources()).map(([, text]) => text).join('\n')
  // Those whose name is put together, such as say(`risk.${risk}`), count by their beginning.
  const beginnings = [...code.matchAll(/`([a-z_.]+[._])\$\{/g)].map(([, beginning = '']) => beginning)
  const unused = Object.keys(await readWords('en.json')).filter(
    (word) =>
      !code.includes(`'${word}'`) &&
      !code.includes(`id="${word}"`) &&
      !beginnings.some((beginning) => word.startsWith(beginning)),
  )
  assert.deepEqual(unused, [])
})

/** Biome finds texts between tags; these are the attributes that people read. */
const readAloud = /\b(aria-label|aria-description|aria-roledescription|title|alt|placeholder|label)="[^"]*\p{L}[^"]*"/gu

test('no attribute that people read has its text in the code', async () => {
  const found = (await sources()).flatMap(([name, text]) =>
    [...text.matchAll(readAloud)].map(([hit]) => `${name}: ${hit}`),
  )
  assert.deepEqual(found, [])
})

test('that search finds one', () => {
  assert.equal([...'<input placeholder="Your name" />'.matchAll(readAloud)].length, 1)
})

/** Everything that is loaded with a module: itself and what it imports, other than when somebody goes there. */
function loadedWith(entry: string, code: ReadonlyMap<string, string>): ReadonlySet<string> {
  const found = new Set<string>()
  const load = (name: string): void => {
    const text = code.get(name)
    if (text === undefined || found.has(name)) return
    found.add(name)
    for (const [, from = ''] of text.matchAll(/^(?:import|export|\})[^\n]*?'(\.{1,2}\/[^']+)'/gm)) {
      load(normalize(join(name, '..', from)))
    }
  }
  load(entry)
  return found
}

test('words of later pages are loaded with each page that uses them, and not with the first one', async () => {
  const code = new Map(await sources())
  const later = Object.keys(await readWords('en.json')).filter(isLater)
  assert.ok(later.length > 100)
  const beginnings = [...new Set(later.map((word) => word.split('.')[0]))]
  const used = new RegExp(`['"\`](?:${beginnings.join('|')})\\.[a-z_.]+(?:['"\`]|\\$\\{)`)
  const users = (modules: ReadonlySet<string>): readonly string[] =>
    [...modules].filter((name) => used.test(code.get(name) ?? ''))
  const first = loadedWith('main.tsx', code)
  assert.ok(first.has('app/routes.tsx') && first.has('inbox/inbox-page.tsx'))
  assert.deepEqual(users(first), [])
  assert.ok(!first.has('words/later.ts'))
  const entries = [...code].flatMap(([name, text]) =>
    [...text.matchAll(/import\('(\.[^']+)'\)/g)].map(([, to = '']) => normalize(join(name, '..', to))),
  )
  assert.ok(entries.length > 15)
  const without = entries.filter((entry) => {
    const modules = loadedWith(entry, code)
    return !modules.has('words/later.ts') && users(modules).some((name) => !first.has(name))
  })
  assert.deepEqual(without, [])
})
