import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { hitl } from '../cli/test/hitl-process.ts'
import { drawn } from './share.ts'
import { type Compared, judge } from './verifier/both.ts'
import { casesOfDatabases } from './verifier/databases.ts'
import { makeExports } from './verifier/exports.ts'
import { groups } from './verifier/tampering.ts'

const folder = join(import.meta.dirname, 'verifier')
let made: Awaited<ReturnType<typeof makeExports>>
before(async () => {
  made = await makeExports()
})
after(() => made?.stop())

/** Where the two do not say the same, or not what is known to be right. */
function disagreements(compared: readonly Compared[]) {
  const codes = (findings: readonly string[]): string => [...new Set(findings)].sort().join()
  return compared.filter(({ expected, ours, python }) => {
    if (ours.code !== python.code || ours.code !== (expected ?? ours.code)) return true
    // What is not proven has exact codes; after a change the two may go on in different ways.
    return ours.code === 3 && codes(ours.findings) !== codes(python.findings)
  })
}

test('the Python verifier knows the test vectors of RFC 8032', () => {
  const { status, stderr } = spawnSync('python3', ['-B', 'ed25519_test.py'], { cwd: folder, encoding: 'utf8' })
  assert.equal(status, 0, stderr)
})

describe('hitl audit verify and the verifier that was written from the documents say the same about', () => {
  for (const [name, casesOf] of Object.entries(groups)) {
    test(name, async (context) => {
      const compared = await judge(drawn([...casesOf(made.exports)]))
      context.diagnostic(`${compared.length} files`)
      assert.deepEqual(disagreements(compared), [])
    })
  }

  test('exports of changed databases', async (context) => {
    const compared = await judge(drawn([...(await casesOfDatabases(made.t, made.exports))]))
    context.diagnostic(`${compared.length} files`)
    assert.deepEqual(disagreements(compared), [])
  })
})

test('both commands have the same exit codes', async (context) => {
  const place = await mkdtemp(join(tmpdir(), 'hitl verify '))
  context.after(() => rm(place, { recursive: true, force: true }))
  const { rotated, keys, keysBefore } = made.exports
  const put = async (name: string, text: string): Promise<string> => {
    await writeFile(join(place, name), text)
    return join(place, name)
  }
  const file = await put('audit.jsonl', rotated)
  const edited = await put('edited.jsonl', rotated.replace('"before":null', '"before":{}'))
  const now = await put('keys.json', keys)
  const earlier = await put('earlier.json', keysBefore)
  const none = await put('none.json', '{"keys":[]}')
  for (const [code, ...args] of [
    [0, file, '--keys', now],
    [1, file, '--keys', none],
    [1, join(place, 'missing.jsonl'), '--keys', now],
    [2, edited, '--keys', now],
    [3, file, '--keys', earlier],
  ] as const) {
    assert.equal((await hitl(['audit', 'verify', ...args])).code, code)
    const python = spawnSync('python3', ['-B', join(folder, 'verify.py'), ...args], { encoding: 'utf8' })
    assert.equal(python.status, code, python.stderr)
  }
})
