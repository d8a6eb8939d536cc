// Plain JavaScript without dependencies, because scripts/setup.mjs reads it under whatever Node the machine has.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const web = fileURLToPath(new URL('..', import.meta.url))
const stampFile = join(web, 'dist', 'built-from')

/** @param {string} folder @returns {string[]} */
const filesBelow = (folder) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    return entry.isDirectory() ? filesBelow(path) : [path]
  })

/** A hash of everything a build depends on. Contents and not times, because a clone gives every file a new time. */
export function sourcesDigest() {
  const hash = createHash('sha256')
  const single = ['index.html', 'vite.config.ts', 'package.json', 'tsconfig.json', join('..', 'package-lock.json')]
  const files = [
    ...single.map((name) => join(web, name)),
    ...['src', 'build', 'public'].flatMap((name) => filesBelow(join(web, name))),
  ]
  for (const file of files.sort()) {
    hash.update(relative(web, file).replaceAll(sep, '/')).update('\0').update(readFileSync(file)).update('\0')
  }
  return hash.digest('hex')
}

/** What the build in web/dist was made from; undefined when there is none. */
export function builtFrom() {
  try {
    return readFileSync(stampFile, 'utf8')
  } catch {
    return undefined
  }
}

/** Last, so that a build that was interrupted has none. */
export function writeStamp() {
  writeFileSync(stampFile, sourcesDigest())
}
