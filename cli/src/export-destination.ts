import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { failed } from './failure.ts'

/** The summary of a complete export, with what was counted. */
export interface Written {
  readonly bytes: number
  readonly sha256: string
  /** The last line's payload; null for CSV, which has none. */
  readonly end: ExportEnd | null
}

export interface ExportEnd {
  readonly organization_id: string
  readonly first_seal: number
  readonly last_seal: number
  readonly last_position: number
  readonly unsealed_events: number
}

/** Far longer than an end line. */
const tailBytes = 16_384

/** Copies an export and checks that it is complete: `finish` returns null if a JSONL export has no end. */
export function createTally(format: string) {
  const sha256 = createHash('sha256')
  let bytes = 0
  let tail = Buffer.alloc(0)
  return {
    add: (chunk: Uint8Array): void => {
      sha256.update(chunk)
      bytes += chunk.length
      const last = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).subarray(-tailBytes)
      tail = Buffer.concat([tail, last]).subarray(-tailBytes)
    },
    bytes: () => bytes,
    finish: (): Written | null => {
      const end = format === 'jsonl' ? endOf(tail.toString('latin1')) : null
      if (format === 'jsonl' && end === null) return null
      return { bytes, sha256: sha256.digest('hex'), end }
    },
  }
}

function endOf(tail: string): ExportEnd | null {
  const payload = /(?:^|\n)\{"end":"[\w-]+\.([\w-]+)\.[\w-]+"\}\n$/.exec(tail)?.[1]
  if (payload === undefined) return null
  try {
    return JSON.parse(Buffer.from(payload, 'base64url').toString()) as ExportEnd
  } catch {
    return null
  }
}

export interface Destination {
  write(chunk: Uint8Array): Promise<void>
  /** Gives the complete file its name. */
  keep(): Promise<void>
  /** Removes the incomplete file. */
  drop(): Promise<void>
}

export const standardOutput: Destination = {
  write: (chunk) =>
    new Promise((resolve, reject) => {
      process.stdout.write(chunk, (error) => (error ? reject(error) : resolve()))
    }),
  keep: async () => {},
  drop: async () => {},
}

/** A file that only its owner may read, and that appears completely or not at all. Never overwrites an earlier one. */
export async function fileDestination(path: string): Promise<Destination> {
  if (existsSync(path)) {
    throw failed('file.exists', `${path} already exists, and exports are never overwritten.`, 'Choose another name.')
  }
  const partial = `${path}.partial`
  const file = await open(partial, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw failed('file.unwritable', `${path} cannot be written: ${error.message}.`)
    throw failed(
      'file.exists',
      `${partial} exists: another export is running or was killed.`,
      'Remove it if none is running.',
    )
  })
  return {
    write: async (chunk) => void (await file.writeFile(chunk)),
    keep: async () => {
      await file.sync()
      await file.close()
      await rename(partial, path)
    },
    drop: async () => {
      await file.close()
      await rm(partial, { force: true })
    },
  }
}
