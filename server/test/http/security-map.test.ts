import assert from 'node:assert/strict'
import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '../../..')
const text = await readFile(join(root, 'docs/security.md'), 'utf8')
const map = text.slice(text.indexOf('# ASVS 5.0.0'))

/** The requirements of levels 1 and 2 in OWASP ASVS 5.0.0: section, and the numbers in it. */
const required: Readonly<Record<string, string>> = {
  '1.1': '1-2',
  '1.2': '1-9',
  '1.3': '1-11',
  '1.4': '1-3',
  '1.5': '1-2',
  '2.1': '1-3',
  '2.2': '1-3',
  '2.3': '1-4',
  '2.4': '1',
  '3.2': '1-2',
  '3.3': '1-4',
  '3.4': '1-6',
  '3.5': '1-5',
  '3.7': '1-2',
  '4.1': '1-3',
  '4.2': '1',
  '4.3': '1-2',
  '4.4': '1-4',
  '5.1': '1',
  '5.2': '1-3',
  '5.3': '1-2',
  '5.4': '1-3',
  '6.1': '1-3',
  '6.2': '1-12',
  '6.3': '1-4',
  '6.4': '1-4',
  '6.5': '1-5',
  '6.6': '1-3',
  '6.8': '1-4',
  '7.1': '1-3',
  '7.2': '1-4',
  '7.3': '1-2',
  '7.4': '1-5',
  '7.5': '1-2',
  '7.6': '1-2',
  '8.1': '1-2',
  '8.2': '1-3',
  '8.3': '1',
  '8.4': '1',
  '9.1': '1-3',
  '9.2': '1-4',
  '10.1': '1-2',
  '10.2': '1-2',
  '10.3': '1-4',
  '10.4': '1-11',
  '10.5': '1-5',
  '10.6': '1-2',
  '10.7': '1-3',
  '11.1': '1-2',
  '11.2': '1-3',
  '11.3': '1-3',
  '11.4': '1-4',
  '11.5': '1',
  '11.6': '1',
  '12.1': '1-3',
  '12.2': '1-2',
  '12.3': '1-4',
  '13.1': '1',
  '13.2': '1-5',
  '13.3': '1-2',
  '13.4': '1-5',
  '14.1': '1-2',
  '14.2': '1-4',
  '14.3': '1-3',
  '15.1': '1-3',
  '15.2': '1-3',
  '15.3': '1-7',
  '16.1': '1',
  '16.2': '1-5',
  '16.3': '1-4',
  '16.4': '1-3',
  '16.5': '1-3',
  '17.1': '1',
  '17.2': '1-4',
  '17.3': '1-2',
}

const items = Object.entries(required).flatMap(([section, numbers]) => {
  const [first = 1, last = first] = numbers.split('-').map(Number)
  return Array.from({ length: last - first + 1 }, (_, index) => `${section}.${first + index}`)
})

const folders: Readonly<Record<string, string>> = { '': 'server/test', cli: 'cli/test', e2e: 'e2e' }

test('docs/security.md has each of the 253 requirements of levels 1 and 2 once', () => {
  assert.equal(items.length, 253)
  const found = [...map.matchAll(/^\| ((?:\d+\.\d+\.\d+ ?)+)\|/gm)].flatMap(([, list = '']) => list.trim().split(' '))
  assert.deepEqual([...found].sort(), [...items].sort())
})

test('every test that docs/security.md names exists, under that name', async () => {
  const named = [...map.matchAll(/`(?:(\w+):)?([\w/-]+)` "([^"]+)"/g)]
  assert.ok(named.length > 80, `${named.length}`)
  const missing: string[] = []
  for (const [whole, folder = '', file = '', name = ''] of named) {
    const path = join(root, folders[folder] ?? '', `${file}.test.ts`)
    const source = await readFile(path, 'utf8').catch(() => null)
    const names = [...(source ?? '').matchAll(/\b(?:test|describe)\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1/g)]
    if (!names.some(([, , title = '']) => title.includes(name))) missing.push(whole)
  }
  assert.deepEqual(missing, [])
})

test('every row of its chapters names a test', () => {
  const chapters = map.slice(map.indexOf('## V1'), map.indexOf('## Not applicable'))
  const rows = chapters.split('\n').filter((line) => /^\| \d/.test(line))
  assert.ok(rows.length > 70)
  for (const row of rows) assert.match(row, /\| `[^`]+` "[^"]+"[^|]*\|$/, row)
})

test('the pages and settings that it names exist', async () => {
  const example = await readFile(join(root, '.env.example'), 'utf8')
  for (const name of new Set(text.match(/\b[A-Z]+(?:_[A-Z]+)+\b/g) ?? [])) {
    if (name !== 'NAME_FILE') assert.ok(example.includes(`# ${name}=`), name)
  }
  for (const [, link = ''] of text.matchAll(/\]\((?!http)([^)#]+)/g)) await access(join(root, 'docs', link))
})
