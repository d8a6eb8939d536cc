// Fails when the inbox has grown beyond its budget: what is loaded before the list of requests is painted, in each language; with
// what is loaded beside it where a request is open; and each part that somebody has to go to.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

// Other languages than English bring their words on top of it.
const budget = { first: 150_000, abroad: 165_000, open: 195_000, style: 20_000, later: 135_000 }

const dist = join(import.meta.dirname, '../web/dist')

/** What the build says of each file (Vite's build.manifest): what it imports is loaded with it. */
interface Part {
  readonly file: string
  readonly imports?: readonly string[]
  readonly css?: readonly string[]
}
const parts: Readonly<Record<string, Part>> = JSON.parse(await readFile(join(dist, '.vite/manifest.json'), 'utf8'))

const partOf = (name: string): Part => {
  const part = parts[name]
  if (part === undefined) throw new Error(`The build has no ${name}: it or this check is broken.`)
  return part
}

/** The files that are loaded for these parts, each once. */
function filesOf(names: readonly string[], found = new Set<string>()): ReadonlySet<string> {
  for (const name of names) {
    const { file, imports = [], css = [] } = partOf(name)
    if (found.has(file)) continue
    for (const each of [file, ...css]) found.add(each)
    filesOf(imports, found)
  }
  return found
}

const gzipped = async (files: Iterable<string>, kind: string): Promise<number> => {
  const sizes = [...files]
    .filter((file) => file.endsWith(kind))
    .map(async (file) => (await readFile(join(dist, `${file}.gz`))).length)
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

const page = ['index.html']
/** The words come before the first paint. */
const languages = [
  ['English', []],
  ['German', ['src/words/de.json?all']],
  ['Arabic', ['src/words/ar.json?all']],
] as const
/** What the first page asks for by itself, and does not wait for. */
const beside = ['src/inbox/reader.tsx', 'src/live/tabs.ts', 'src/offline/kept.ts']

const measured: (readonly [what: string, bytes: number, limit: number])[] = []
for (const [language, words] of languages) {
  const [first, open] = [filesOf([...page, ...words]), filesOf([...page, ...words, ...beside])]
  measured.push([
    `JavaScript before the list is painted, in ${language}`,
    await gzipped(first, '.js'),
    words.length === 0 ? budget.first : budget.abroad,
  ])
  measured.push(['and with what is loaded beside it for an open request', await gzipped(open, '.js'), budget.open])
}
const first = filesOf(page)
measured.push(['CSS of the first page', await gzipped(first, '.css'), budget.style])
for (const name of await readdir(join(dist, 'assets'))) {
  const file = `assets/${name}`
  if (name.endsWith('.js') && !first.has(file)) {
    measured.push([`${name}, loaded later`, await gzipped([file], '.js'), budget.later])
  }
}

for (const [what, bytes, limit] of measured) {
  process.stdout.write(`${(bytes / 1_000).toFixed(1).padStart(7)} of ${limit / 1_000} KB  ${what}\n`)
  if (bytes > limit) process.exitCode = 1
}
