import { open } from 'node:fs/promises'
import type { Transport } from '../../outbound/transport.ts'
import { installationId } from '../../platform/ids.ts'
import { type PublicHead, publicHeadJson } from './seal.ts'

/** A place outside the database that heads are written to. Throws unless they are known to be there. */
export type OutsidePlace = (heads: readonly PublicHead[]) => Promise<void>

/** Appends lines and waits until they are on disk. Opens the file each time, so that it can be moved away. */
export function headsFile(path: string): OutsidePlace {
  return async (heads) => {
    const begin = (await endsInLine(path)) ? '\n' : ''
    const file = await open(path, 'a')
    try {
      // One write, so that lines of several processes do not mix.
      await file.appendFile(begin + heads.map((head) => `${publicHeadJson(head)}\n`).join(''))
      await file.datasync()
    } finally {
      await file.close()
    }
  }
}

/** Whether the file ends in the middle of a line, because a process died while it wrote; true too where it cannot be read: empty lines do not count. */
async function endsInLine(path: string): Promise<boolean> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => error)
  if (file instanceof Error) return file.code !== 'ENOENT'
  try {
    const { size } = await file.stat()
    const { buffer, bytesRead } = await file.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1))
    return bytesRead === 1 && buffer[0] !== 0x0a
  } finally {
    await file.close()
  }
}

/** How much of the end of the file is read at the start: some 6 000 heads. */
const readBytes = 4 * 1_048_576

/** The highest head of each organization among the last lines of the file; none when there is no file yet. */
export async function lastHeadsOf(path: string): Promise<readonly PublicHead[]> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (file === null) return []
  try {
    const { size } = await file.stat()
    const from = Math.max(0, size - readBytes)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from)
    const highest = new Map<string, PublicHead>()
    // The first line may be cut in two, and the last one, if a process ended while it wrote.
    for (const line of buffer.toString('utf8', 0, bytesRead).split('\n')) {
      const head = readPublicHead(line)
      if (head === null || (highest.get(head.organizationId)?.number ?? 0) > head.number) continue
      highest.set(head.organizationId, head)
    }
    return [...highest.values()]
  } finally {
    await file.close()
  }
}

function readPublicHead(line: string): PublicHead | null {
  try {
    const { organization_id: organizationId, number, head } = JSON.parse(line) as Readonly<Record<string, unknown>>
    const isHead = typeof organizationId === 'string' && typeof number === 'number' && typeof head === 'string'
    return isHead ? { organizationId, number, head } : null
  } catch {
    return null
  }
}

export function headsUrl(url: string, transport: Transport): OutsidePlace {
  return async (heads) => {
    const body = `{"heads":[${heads.map(publicHeadJson).join(',')}]}`
    const headers = { 'content-type': 'application/json' }
    const { status, error } = await transport.post({ owner: installationId, url, headers, body })
    const reason =
      error?.message ?? (status !== null && status >= 200 && status < 300 ? null : `the reply was ${status}`)
    if (reason !== null) throw new Error(`the heads of the audit could not be posted: ${reason}`)
  }
}
