import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Writes a committed file that is generated from the code. With --check it only compares, and fails if they differ. */
export async function generated(name: string, text: string, command: string): Promise<void> {
  const path = join(import.meta.dirname, '..', name)
  if (!process.argv.includes('--check')) return writeFile(path, text)
  const committed = await readFile(path, 'utf8').catch(() => '')
  if (committed === text) return
  process.stderr.write(`${name} is not what the code says. Run "npm run ${command}" and commit the result.\n`)
  process.exitCode = 1
}
