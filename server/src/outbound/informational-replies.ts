import type { Socket } from 'node:net'

/** A longer one is passed on, for undici to refuse. */
const longestHead = 16 * 1024
const informational = /^HTTP\/1\.\d 1(?!01)\d\d$/
const shortest = 'HTTP/1.1 100'
const nothing: Buffer = Buffer.alloc(0)

/**
 * Takes the informational replies (1xx, but not 101) out of what is read from a socket. A client must be ready for any number
 * of them before the reply, asked for or not (RFC 9110, 15.2); undici ends the connection at a 100.
 */
export function skipInformational(socket: Socket): void {
  const read = socket.read.bind(socket)
  const write = socket.write.bind(socket) as (...given: readonly unknown[]) => boolean
  let isBeforeReply = false
  let held = nothing

  /** What is left of these bytes; null: more have to be read first. */
  const withoutInformational = (chunk: Buffer): Buffer | null => {
    let bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    held = nothing
    while (bytes.length > 0) {
      const start = bytes.toString('latin1', 0, shortest.length)
      const end = informational.test(start + shortest.slice(start.length)) ? bytes.indexOf('\r\n\r\n') : 0
      if (end === -1 && bytes.length <= longestHead) {
        held = bytes
        return null
      }
      if (end <= 0) {
        isBeforeReply = false
        return bytes
      }
      bytes = bytes.subarray(end + 4)
    }
    return null
  }

  // One request at a time is on a connection, and undici writes each at once.
  socket.write = (...given: readonly unknown[]) => {
    isBeforeReply = true
    return write(...given)
  }
  socket.read = (size?: number) => {
    for (;;) {
      const chunk: Buffer | null = read(size)
      if (chunk === null || !isBeforeReply) return chunk
      const rest = withoutInformational(chunk)
      if (rest !== null) return rest
    }
  }
}
