import { open } from 'node:fs/promises'
import { type PublicHead, publicHeadJson } from './seal.ts'

/** A place outside of the database that heads are written to. Throws when they are not known to be there. */
export type OutsidePlace = (heads: readonly PublicHead[]) => Promise<void>

/** Appends lines and waits until the disk has them. Opened anew each time, so that the file can be moved away. */
export function headsFile(path: string): OutsidePlace {
  return async (heads) => {
    const file = await open(path, 'a')
    try {
      // One write: lines of several processes do not get into one another.
      await file.appendFile(heads.map((head) => `${publicHeadJson(head)}\n`).join(''))
      await file.datasync()
    } finally {
      await file.close()
    }
  }
}

/** How a POST ended: null when it was answered with 2xx, else why not. */
export type PostJson = (url: string, body: string) => Promise<string | null>

export function headsUrl(url: string, post: PostJson): OutsidePlace {
  return async (heads) => {
    const failure = await post(url, `{"heads":[${heads.map(publicHeadJson).join(',')}]}`)
    if (failure !== null) throw new Error(`the heads of the audit could not be posted: ${failure}`)
  }
}
