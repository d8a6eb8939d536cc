import assert from 'node:assert/strict'
import { verifyExport } from '../src/audit-verify.ts'
import { asFile, chainOf, createSigner, exportLines, sampleEvent } from './audit-export.ts'
import { createRandom, tamperings } from './audit-tampering.ts'

const signer = createSigner('key-1')
const attacker = createSigner('key-1')
const verify = (file: Buffer) => verifyExport([file], { publicKeys: { keys: [signer.jwk] } })

/** Changes an export at random, `times` times, and asserts that the verifier finds each change. */
export async function findRandomTamperings(seed: number, times: number): Promise<void> {
  const random = createRandom(seed)
  const ids = [sampleEvent(4), sampleEvent(7)].map(({ record }) => JSON.parse(record).id as string)
  const source = chainOf(
    [1, 2, 3, 5, 8, 13],
    () => signer,
    (n) => (n === 18 ? sampleEvent(n, 'audit.erased', { events: ids }) : sampleEvent(n)),
  )
  const lines = exportLines(source, signer, { erased: new Set([4, 7]) })
  const original = asFile(lines)
  assert.equal((await verify(original)).ok, true)
  const names = Object.keys(tamperings)
  const found = new Map(names.map((name) => [name, 0]))
  for (let round = 0, done = 0; done < times; round += 1) {
    const name = names[round % names.length] ?? ''
    const changed = tamperings[name]?.([...lines], random, attacker) ?? []
    const file = Buffer.isBuffer(changed) ? changed : asFile(changed)
    // Swapping a line with itself or writing the same byte changes nothing.
    if (file.equals(original)) continue
    const { ok, findings } = await verify(file)
    assert.equal(ok, false, `not found: "${name}", round ${round} of seed ${seed}`)
    assert.ok(findings.length > 0)
    done += 1
    found.set(name, (found.get(name) ?? 0) + 1)
  }
  for (const [name, count] of found) assert.ok(count > times / 100, `"${name}" was tried ${count} times only`)
}
