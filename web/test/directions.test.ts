import assert from 'node:assert/strict'
import { glob, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

const src = join(import.meta.dirname, '../src')

/** Classes of Tailwind that name a side of the screen; each has one that names the start or the end of the line instead. */
const sided =
  /(?<![\w-])(?:[a-z-]+:)*-?(?:m[lr]-|p[lr]-|left-|right-|scroll-[mp][lr]-|border-[lr](?![a-z])|rounded-(?:[lr]|[tb][lr])(?![a-z])|text-(?:left|right)(?![\w-])|float-(?:left|right)|clear-(?:left|right)|origin-(?:\w+-)?(?:left|right)|space-x-|divide-x)[\w./[\]()-]*/g

/** The same in CSS, also in styles that are set from code. */
const sidedCss =
  /(?<![\w-])(?:(?:margin|padding|border|inset)-(?:left|right)|(?:margin|padding|border)(?:Left|Right)\w*|(?:scroll-)?(?:margin|padding)-(?:left|right)|(?:left|right)(?=\s*:\s)|(?:text-align|float)\s*:\s*(?:left|right)|textAlign:\s*'(?:left|right)')/g

/** `file: class` → why it means the side of the screen and not of the line. */
const exceptions: ReadonlyMap<string, string> = new Map([
  [
    'rendering/rendering.css: text-align: right',
    'Only from right to left: a block whose own direction is the other one stays at the side where the page begins.',
  ],
])

async function matching(pattern: string, search: RegExp): Promise<readonly string[]> {
  const found: string[] = []
  for await (const name of glob(pattern, { cwd: src })) {
    if (name.endsWith('.gen.ts')) continue
    const code = (await readFile(join(src, name), 'utf8')).replaceAll(/\/\*.*?\*\/|^\s*\/\/.*$/gms, '')
    found.push(...[...code.matchAll(search)].map(([hit]) => `${name}: ${hit}`))
  }
  return found
}

test('no class and no style names a side of the screen: start and end follow the direction of the language', async () => {
  const found = [...(await matching('**/*.{ts,tsx,css}', sided)), ...(await matching('**/*.{ts,tsx,css}', sidedCss))]
  const unexplained = found.filter((hit) => !exceptions.has(hit))
  assert.deepEqual(
    unexplained,
    [],
    'Write ms-, me-, ps-, pe-, start-, end-, text-start, text-end, border-s and the like.',
  )
  assert.deepEqual(
    [...exceptions.keys()].filter((hit) => !found.includes(hit)),
    [],
    'These exceptions are gone.',
  )
})

test('a shift along the line, and a picture that points along it, say what they do from right to left', async () => {
  const found: string[] = []
  for await (const name of glob('**/*.tsx', { cwd: src })) {
    const code = await readFile(join(src, name), 'utf8')
    for (const [list = ''] of code.matchAll(/(?:className=|['"`])[^\n]*-?translate-x-[^\n]*/g)) {
      if (!list.includes('rtl:')) found.push(`${name}: ${list.trim()}`)
    }
    const tags = code.matchAll(
      /<(?:Arrow|Chevron|Corner|Move)\w*(?:Left|Right)\b[^>]*>|<LogOut\b[^>]*>|<LogIn\b[^>]*>/g,
    )
    for (const [tag = ''] of tags) if (!tag.includes('rtl:')) found.push(`${name}: ${tag}`)
  }
  assert.deepEqual(found, [], 'Add rtl:translate-x-… or rtl:-scale-x-100.')
})

test('those searches find what they look for', () => {
  const hits = (text: string, search: RegExp): readonly string[] => [...text.matchAll(search)].map(([hit]) => hit)
  const classes = 'ml-2 wide:pr-3 -left-1 text-right border-l rounded-tl-small hover:border-r-2 space-x-2'
  assert.deepEqual(hits(classes, sided), classes.split(' '))
  assert.deepEqual(hits('ms-2 pe-3 start-1 text-end border-s leading-4 html-2 rounded-small border-line', sided), [])
  assert.equal(
    hits("margin-left: 2px; left: 0; text-align: right; style={{ paddingLeft: 4, textAlign: 'left' }}", sidedCss)
      .length,
    5,
  )
  assert.deepEqual(hits('margin-inline-start: 2px; inset-inline-end: 0', sidedCss), [])
})
