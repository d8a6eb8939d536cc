import { statfs } from 'node:fs/promises'
import type { Logger } from './log.ts'
import { createLoop, type Loop } from './loop.ts'

/** How the space of a file system is read. */
export type ReadSpace = (folder: string) => Promise<{ readonly bavail: number; readonly bsize: number }>

export interface FreeSpace {
  readonly freeBytes: number
  /** Below the least, or not yet well above it again. */
  readonly isLow: boolean
}

const everyMs = 30_000
/** A disk that hovers at the least is one line, not one a minute. */
const recovered = 1.1

/** Says once when less than this is free on the disk of a folder, and once when there is enough again. */
export function watchFreeSpace(
  folder: string,
  leastBytes: number,
  log: Logger,
  read: ReadSpace = statfs,
): Loop & { found(): FreeSpace | null } {
  let found: FreeSpace | null = null
  const loop = createLoop('free space', everyMs, log, async () => {
    const { bavail, bsize } = await read(folder)
    const freeBytes = bavail * bsize
    const wasLow = found?.isLow ?? false
    const isLow = freeBytes < leastBytes * (wasLow ? recovered : 1)
    found = { freeBytes, isLow }
    if (isLow === wasLow) return false
    const fields = { folder, free_bytes: freeBytes, least_bytes: leastBytes }
    if (isLow)
      log.warn(
        fields,
        'the disk of the data folder is nearly full: free some space before the database cannot save any more',
      )
    else log.info(fields, 'the disk of the data folder has enough free space again')
    return false
  })
  return { ...loop, found: () => found }
}
