import { hash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Plugin, transformWithOxc } from 'vite'

const source = join(import.meta.dirname, '../src/offline/service-worker.ts')

/** Fonts of other scripts than Latin are loaded by who sees them, and kept by the browser for a year. */
const isKept = (name: string): boolean => /\.(?:js|css)$|-latin-wght-.*\.woff2$/.test(name)

/** Writes service-worker.js beside index.html, which names every file of the build. */
export function serviceWorker(): Plugin {
  return {
    name: 'service-worker',
    apply: 'build',
    async writeBundle({ dir = '' }) {
      await writeServiceWorker(dir)
    },
  }
}

export async function writeServiceWorker(dir: string): Promise<void> {
  const html = await readFile(join(dir, 'index.html'), 'utf8')
  const entry = /assets\/[^"]+\.js/.exec(html)?.[0]
  if (entry === undefined) throw new Error('index.html names no script')
  const files = (await readdir(join(dir, 'assets')))
    .filter(isKept)
    .sort()
    .map((name) => `assets/${name}`)
  const digest = hash('sha256', JSON.stringify([html, files]), 'hex').slice(0, 16)
  const { code } = await transformWithOxc(await readFile(source, 'utf8'), source)
  await writeFile(join(dir, 'service-worker.js'), `const build = ${JSON.stringify({ digest, entry, files })}\n${code}`)
}
