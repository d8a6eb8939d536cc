import { Buffer } from 'node:buffer'

export interface TarEntry {
  /** At most 100 characters of ASCII. */
  readonly name: string
  readonly content: Buffer
}

const blockBytes = 512

/** A tar file (POSIX.1-1988 ustar, which every tar reads) of regular files. */
export async function* tar(entries: AsyncIterable<TarEntry>, at: Date): AsyncGenerator<Buffer> {
  for await (const { name, content } of entries) {
    yield header(name, content.length, at)
    yield content
    const over = content.length % blockBytes
    if (over > 0) yield Buffer.alloc(blockBytes - over)
  }
  // The end: two empty blocks.
  yield Buffer.alloc(2 * blockBytes)
}

function header(name: string, size: number, at: Date): Buffer {
  if (!/^[\x21-\x7e]{1,100}$/.test(name)) throw new Error(`${name} is no name for a file in a tar`)
  const block = Buffer.alloc(blockBytes)
  const octal = (value: number, offset: number, length: number): void => {
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, offset, 'latin1')
  }
  block.write(name, 0, 'latin1')
  octal(0o600, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(size, 124, 12)
  octal(Math.floor(at.getTime() / 1_000), 136, 12)
  // The sum is made as if its own field was blank.
  block.fill(' ', 148, 156)
  block.write('0', 156, 'latin1')
  block.write('ustar\x0000', 257, 'latin1')
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}
