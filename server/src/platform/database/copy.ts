import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import type pg from 'pg'

/**
 * COPY, which the driver leaves to others. It has the hooks for it, which the driver's own packages use; they are not in its
 * types (as in statement-group.ts, which says why its version is pinned).
 */
interface Wire {
  readonly stream: Duplex
  query(text: string): void
  sendCopyFromChunk(chunk: Uint8Array): void
  endCopyFrom(): void
  sendCopyFail(message: string): void
}

/** Read further only below this many bytes that nobody has taken. */
const waitingBytes = 1_048_576

interface Copying {
  readonly onData?: (chunk: Uint8Array, wire: Wire) => void
  readonly onReady?: (wire: Wire) => void
}

/** Runs a COPY statement; resolves with the number of rows. */
function copy(client: pg.Client, statement: string, { onData, onReady }: Copying): Promise<number> {
  return new Promise((resolve, reject) => {
    let rows = 0
    const query = {
      submit: (wire: Wire) => wire.query(statement),
      handleCopyData: ({ chunk }: { readonly chunk: Uint8Array }, wire: Wire) => onData?.(chunk, wire),
      handleCopyInResponse: (wire: Wire) => onReady?.(wire),
      // `COPY 3`
      handleCommandComplete: ({ text }: { readonly text: string }) => {
        rows = Number(text.split(' ')[1])
      },
      handleError: reject,
      handleReadyForQuery: () => resolve(rows),
    }
    client.query(query as unknown as pg.Submittable)
  })
}

/** `COPY ... TO STDOUT`: its rows, several at a time, and no faster than they are taken. */
export async function* copyOut(client: pg.Client, statement: string): AsyncGenerator<readonly Buffer[]> {
  let rows: Buffer[] = []
  let bytes = 0
  let wire: Wire | null = null
  let ended = false
  let wake = (): void => {}
  const done = copy(client, statement, {
    onData: (chunk, from) => {
      // A copy: the driver uses the memory again.
      rows.push(Buffer.from(chunk))
      bytes += chunk.length
      wire = from
      if (bytes > waitingBytes) wire.stream.pause()
      wake()
    },
  }).finally(() => {
    ended = true
    wake()
  })
  done.catch(() => {})
  try {
    for (;;) {
      if (rows.length > 0) {
        const taken = rows
        rows = []
        bytes = 0
        ;(wire as Wire | null)?.stream.resume()
        yield taken
      } else if (ended) break
      else {
        const { promise, resolve } = Promise.withResolvers<void>()
        wake = resolve
        await promise
      }
    }
    await done
  } finally {
    // Given up halfway: the rest would have to be read to use the connection again.
    if (!ended) (wire as Wire | null)?.stream.destroy()
  }
}

/** `COPY ... FROM STDIN`: resolves with the number of rows. What `chunks` throws is thrown, and the statement fails. */
export async function copyIn(client: pg.Client, statement: string, chunks: AsyncIterable<Buffer>): Promise<number> {
  let failed = false
  let sourceError: unknown = null
  const send = async (wire: Wire): Promise<void> => {
    try {
      for await (const chunk of chunks) {
        if (failed) return
        wire.sendCopyFromChunk(chunk)
        if (wire.stream.writableNeedDrain) await once(wire.stream, 'drain')
      }
      wire.endCopyFrom()
    } catch (error) {
      sourceError = error
      wire.sendCopyFail('the source of the rows failed')
    }
  }
  try {
    return await copy(client, statement, { onReady: (wire) => void send(wire) })
  } catch (error) {
    failed = true
    throw sourceError ?? error
  }
}
