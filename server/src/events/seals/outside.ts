import { open } from 'node:fs/promises'
import type { Transport } from '../../outbound/transport.ts'
import { installationId } from '../../platform/ids.ts'
import { type PublicHead, publicHeadJson } from './seal.ts'

/** A place outside the database that heads are written to. Throws unless they are known to be there. */
export type OutsidePlace = (heads: readonly PublicHead[]) => Promise<void>

/** Appends lines and waits until they are on disk. Opens the file each time, so that it can be moved away. */
export function headsFile(path: string): OutsidePlace {
  return async (heads) => {
    const file = await open(path, 'a')
    try {
      // One write, so that lines of several processes do not mix.
      await file.appendFile(heads.map((head) => `${publicHeadJson(head)}\n`).join(''))
      await file.datasync()
    } finally {
      await file.close()
    }
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
