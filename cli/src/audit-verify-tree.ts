import { hash } from 'node:crypto'

export const leafBytes = 32

/** Hashes records into the leaves of a batch's Merkle tree (RFC 6962, 2.1) and into the chain's link. */
export interface Batch {
  /** The record's bytes are in `bytes` from `start` to `end`. */
  add(bytes: Buffer, start: number, end: number): void
  readonly size: () => number
  /** 32 bytes each, valid until the next `add` or `clear`. */
  readonly leaves: () => Buffer
  readonly link: () => Buffer
  /** Starts the next batch from this link. */
  clear(link: Buffer): void
}

export function createBatch(): Batch {
  let leaves = Buffer.alloc(4_096 * leafBytes)
  let size = 0
  let link: Buffer = Buffer.alloc(leafBytes)
  // [0, 32): the previous link, or the leaf's prefix byte at the end; then the record.
  let scratch = Buffer.alloc(64 * 1_024)
  return {
    add: (bytes, start, end) => {
      const length = leafBytes + end - start
      if (length > scratch.length) scratch = Buffer.alloc(length * 2)
      if ((size + 1) * leafBytes > leaves.length) leaves = Buffer.concat([leaves, Buffer.alloc(leaves.length)])
      bytes.copy(scratch, leafBytes, start, end)
      scratch[leafBytes - 1] = 0
      hash('sha256', scratch.subarray(leafBytes - 1, length), 'buffer').copy(leaves, size * leafBytes)
      link.copy(scratch)
      link = hash('sha256', scratch.subarray(0, length), 'buffer')
      size += 1
    },
    size: () => size,
    leaves: () => leaves.subarray(0, size * leafBytes),
    link: () => link,
    clear: (next) => {
      size = 0
      link = next
    },
  }
}

/**
 * The root over leaf hashes. Joins neighbours level by level and moves a last one without a neighbour up unchanged, which gives
 * the tree of RFC 6962 that splits at the largest power of two.
 */
export function merkleRoot(leaves: Buffer): string {
  const level = Buffer.from(leaves)
  const pair = Buffer.alloc(1 + 2 * leafBytes)
  pair[0] = 1
  let size = level.length / leafBytes
  while (size > 1) {
    for (let at = 0; at + 1 < size; at += 2) {
      level.copy(pair, 1, at * leafBytes, (at + 2) * leafBytes)
      hash('sha256', pair, 'buffer').copy(level, (at / 2) * leafBytes)
    }
    if (size % 2 === 1) level.copyWithin(((size - 1) / 2) * leafBytes, (size - 1) * leafBytes, size * leafBytes)
    size = Math.ceil(size / 2)
  }
  return level.subarray(0, leafBytes).toString('hex')
}
