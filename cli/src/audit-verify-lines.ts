/** A stream in chunks of any size: a file, standard input, or the body of a reply. Strings are encoded as UTF-8. */
export type Chunks = AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>

/** Far longer than any line of an export: the texts of a request are limited, and a batch's leaf list takes 180 KB at most. */
const longestLine = 64 * 1_048_576

/**
 * Calls `onLine` with each line, without its line end. Lines are not copied: `bytes` holds a line until the next call. Returns
 * the number of bytes after the last line end, which is 0 for a complete export.
 */
export async function eachLine(source: Chunks, onLine: (bytes: Buffer, start: number, end: number) => void) {
  let left = Buffer.alloc(0)
  for await (const chunk of source) {
    const fresh =
      typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
    const bytes = left.length === 0 ? fresh : Buffer.concat([left, fresh])
    let start = 0
    for (let end = bytes.indexOf(10, left.length); end >= 0; end = bytes.indexOf(10, start)) {
      onLine(bytes, start, end)
      start = end + 1
    }
    left = Buffer.from(bytes.subarray(start))
    if (left.length > longestLine)
      throw new Error(`a line is longer than ${longestLine} bytes: this is not an audit export`)
  }
  return left.length
}
