// Fails when the inbox has grown beyond its budget: what the first page loads at once, and each part that is loaded later.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

const budget = { firstScript: 150_000, firstStyle: 20_000, lazyScript: 135_000 }

const dist = join(import.meta.dirname, '../web/dist')
const html = await readFile(join(dist, 'index.html'), 'utf8')
const first = new Set([...html.matchAll(/(?:src|href)="\.\/assets\/([^"]+)"/g)].map(([, name = '']) => name))
const assets = await readdir(join(dist, 'assets'))
const gzipped = async (names: readonly string[]): Promise<number> => {
  const files = await Promise.all(names.map((name) => readFile(join(dist, 'assets', `${name}.gz`))))
  return files.reduce((sum, { length }) => sum + length, 0)
}

const scripts = assets.filter((name) => name.endsWith('.js'))
const measured: readonly (readonly [string, number, number])[] = [
  ['JavaScript of the first page', await gzipped(scripts.filter((name) => first.has(name))), budget.firstScript],
  ['CSS of the first page', await gzipped([...first].filter((name) => name.endsWith('.css'))), budget.firstStyle],
  ...(await Promise.all(
    scripts
      .filter((name) => !first.has(name))
      .map(async (name) => [`${name}, loaded later`, await gzipped([name]), budget.lazyScript] as const),
  )),
]
if (measured[0]?.[1] === 0) throw new Error('web/dist/index.html names no script: the build or this check is broken')
for (const [what, bytes, limit] of measured) {
  process.stdout.write(`${(bytes / 1_000).toFixed(1).padStart(7)} of ${limit / 1_000} KB  ${what}\n`)
  if (bytes > limit) process.exitCode = 1
}
