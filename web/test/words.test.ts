import assert from 'node:assert/strict'
import { glob, readdir, readFile } from 'node:fs/promises'
import { join, normalize } from 'node:path'
import { test } from 'node:test'
import { compileMessage } from '@lingui/message-utils/compileMessage'
import { isLater } from '../src/words/areas.ts'
import { languageFor, languages } from '../src/words/language.ts'

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

/** The cases of each plural of a message that tells cases apart; one that has only exact numbers and `other` is a choice and no plural. */
function pluralsOf(message: string): readonly (readonly string[])[] {
  const found: string[][] = []
  const walk = (part: unknown): void => {
    if (!Array.isArray(part)) return
    const [, kind, cases] = part
    if (kind === 'plural' && typeof cases === 'object' && cases !== null) {
      const named = Object.keys(cases).filter((name) => name !== 'offset' && !/^=?\d+$/.test(name))
      if (named.some((name) => name !== 'other')) found.push(named.sort())
      Object.values(cases).forEach(walk)
    } else part.forEach(walk)
  }
  walk(compileMessage(message))
  return found
}

/** The tags in which a part of a message is drawn. */
const tagsOf = (message: string): readonly string[] => [...message.matchAll(/<\/?\d+>/g)].map(([tag]) => tag).sort()

test('there are words for every language that can be chosen, and no others', async () => {
  const files = (await readdir(join(src, 'words'))).filter((name) => name.endsWith('.json'))
  assert.deepEqual(files.map((name) => name.replace('.json', '')).sort(), Object.keys(languages).sort())
})

for (const language of Object.keys(languages)) {
  test(`${language}: every message of English is there, valid ICU, with the same values and each case of a plural`, async () => {
    const [english, words] = await Promise.all([readWords('en.json'), readWords(`${language}.json`)])
    const file = `web/src/words/${language}.json`
    const missing = Object.keys(english).filter((word) => !(word in words))
    const add = missing.map((word) => `  ${JSON.stringify(word)}: ${JSON.stringify(english[word])}`).join('\n')
    assert.deepEqual(missing, [], `Add these to ${file}, translated (the English is given):\n${add}`)
    const extra = Object.keys(words).filter((word) => !(word in english))
    assert.deepEqual(extra, [], `${file} has messages that en.json does not have: take them out.`)
    assert.deepEqual(Object.keys(words), Object.keys(english), `${file} has the order of en.json.`)
    const cases = new Intl.PluralRules(language).resolvedOptions().pluralCategories.toSorted()
    for (const [word, message] of Object.entries(words)) {
      const where = `${file}: ${word}`
      assert.notEqual(message.trim(), '', where)
      assert.deepEqual(valuesOf(message), valuesOf(english[word] ?? ''), where)
      assert.deepEqual(tagsOf(message), tagsOf(english[word] ?? ''), where)
      const plurals = pluralsOf(message)
      assert.ok(plurals.length >= pluralsOf(english[word] ?? '').length, `${where}: it is a plural in English`)
      for (const named of plurals) assert.deepEqual(named, cases, `${where}: the cases of a plural in this language`)
    }
  })
}

test('those searches find the values, the tags and the cases', () => {
  assert.deepEqual(valuesOf('{a} and {b, plural, one {# of {c}} other {#}}'), ['a', 'b', 'c'])
  assert.deepEqual(pluralsOf('{b, plural, =0 {none} one {#} other {#}} {c, plural, =0 {x} other {y}}'), [
    ['one', 'other'],
  ])
  assert.deepEqual(tagsOf('It <0>ends</0>'), ['</0>', '<0>'])
})

test('the language is the one chosen, or the first of the browser that there is', () => {
  assert.equal(languageFor('de', ['ar-EG']), 'de')
  assert.equal(languageFor('system', ['fr-CA', 'ar-EG', 'de']), 'ar')
  assert.equal(languageFor('system', ['fr', 'constructor']), 'en')
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
