import { hash } from 'node:crypto'

export interface InclusionProof {
  readonly seal: number
  readonly head: string
  /** The number in the organization's chain, from 1. */
  readonly position: number
  /** The leaf's place in the batch's tree, from 0, and the tree's size. */
  readonly index: number
  readonly size: number
  /** The neighbours from the leaf up to the root: 32 bytes each. */
  readonly path: Buffer
}

/**
 * Whether the proof leads from the record to the root in its seal's head, and the erasable part matches its hash in the
 * record. Readers of the pack check the head's signature themselves.
 */
export function isAsSealed(record: string, erasable: string | null, proof: InclusionProof): boolean {
  const [, payload = ''] = proof.head.split('.')
  const head = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Readonly<Record<string, unknown>>
  const isPlaced =
    head.first === proof.position - proof.index && head.last === proof.position - proof.index + proof.size - 1
  if (!isPlaced || rootOf(record, proof) !== head.root) return false
  const { erasable_sha256: expected } = JSON.parse(record) as { readonly erasable_sha256?: unknown }
  return erasable === null || hash('sha256', erasable) === expected
}

/** RFC 9162, 2.1.3.2. Null: the path does not have the length that the leaf's place requires. */
function rootOf(record: string, { index, size, path }: InclusionProof): string | null {
  let node = sha256(Buffer.of(0), Buffer.from(record))
  let place = index
  let last = size - 1
  for (let at = 0; at < path.length; at += 32) {
    if (last === 0) return null
    const neighbour = path.subarray(at, at + 32)
    if (place % 2 === 0 && place < last) {
      node = sha256(Buffer.of(1), node, neighbour)
    } else {
      node = sha256(Buffer.of(1), neighbour, node)
      while (place % 2 === 0 && place > 0) {
        place >>= 1
        last >>= 1
      }
    }
    place >>= 1
    last >>= 1
  }
  return last === 0 ? node.toString('hex') : null
}

function sha256(...parts: readonly Buffer[]): Buffer {
  return hash('sha256', Buffer.concat(parts), 'buffer')
}
