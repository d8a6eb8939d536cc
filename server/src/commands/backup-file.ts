import { constants, createReadStream } from 'node:fs'
import { access, open, rename, rm } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { refusal } from '../platform/problem.ts'

const fileExists = refusal(
  409,
  'file.exists',
  (path: string) => `${path} already exists, and backups are never overwritten. Choose another name, or remove it.`,
  'hitl.backup',
)

const fileUnusable = refusal(
  409,
  'file.unusable',
  (path: string, reason: string) => `${path} cannot be used: ${reason}. Check the path and who may use it.`,
  'hitl.backup',
  'ENOENT: no such file or directory',
)

const unusable =
  (path: string) =>
  (error: NodeJS.ErrnoException): never => {
    throw error.code === 'EEXIST' ? fileExists(path) : fileUnusable(path, error.message)
  }

/** Writes to standard output (`-`), or to a file that only its owner may read, and that appears completely or not at all. */
export async function writeBackup(path: string, bytes: Readable): Promise<void> {
  if (path === '-') return pipeline(bytes, process.stdout, { end: false })
  const partial = `${path}.partial`
  await refuseExisting(path)
  const file = await open(partial, 'wx', 0o600).catch(unusable(partial))
  try {
    await pipeline(bytes, file.createWriteStream({ flush: true }))
    await rename(partial, path)
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  }
}

async function refuseExisting(path: string): Promise<void> {
  const exists = await access(path).then(
    () => true,
    () => false,
  )
  if (exists) throw fileExists(path)
}

/** Standard input (`-`) or a file. */
export async function readBackup(path: string): Promise<Readable> {
  if (path === '-') return process.stdin
  await access(path, constants.R_OK).catch(unusable(path))
  return createReadStream(path)
}
