import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { asFile, chainOf, createSigner, exportLines, organizationId } from './audit-export.ts'
import { hitl, temporaryFolder } from './hitl-process.ts'

const signer = createSigner('key-1')
const keySet = JSON.stringify({ keys: [signer.jwk] })
const chain = chainOf([3, 5], () => signer)
const lines = exportLines(chain, signer)
const folder = await temporaryFolder()
const file = async (name: string, content: string | Buffer): Promise<string> => {
  const path = join(folder.path, name)
  await writeFile(path, content)
  return path
}
const audit = await file('audit.jsonl', asFile(lines))
const keys = await file('keys.json', keySet)
const server = createServer((request, response) => {
  response.statusCode = request.url === '/.well-known/jwks.json' ? 200 : 404
  response.setHeader('content-type', 'application/json').end(keySet)
}).listen(0, '127.0.0.1')
await once(server, 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
after(async () => {
  server.close()
  await folder.remove()
})

const verify = (path: string, ...more: readonly string[]) => hitl(['audit', 'verify', path, '--keys', keys, ...more])

describe('an intact export: exit 0', () => {
  test('as text: intact, what it contains, and what it does not prove', async () => {
    const { code, stdout, stderr } = await verify(audit)
    assert.equal(code, 0, stdout)
    assert.equal(stderr, '')
    assert.match(stdout, /^Intact: .*audit\.jsonl\n/)
    assert.match(stdout, new RegExp(`Organization +${organizationId}`))
    assert.match(stdout, /Events +8 in 2 seals, positions 1 to 8\n/)
    assert.match(stdout, /Last seal +number 2, of 2026-01-31T09:00:01\.000Z\n/)
    assert.match(stdout, /What it does not prove:\n- .*head from outside/)
  })

  test('nothing in it moves the cursor or hides: such characters are written as their numbers', async () => {
    const path = await file('audit\u001b[1A\u202e.jsonl', asFile(lines))
    for (const { stdout, stderr } of [await verify(path), await verify(`${path}\u200b`)]) {
      assert.match(stdout + stderr, /audit\[U\+001B\]\[1A\[U\+202E\]\.jsonl/)
      assert.doesNotMatch(stdout + stderr, /(?!\n)[\p{Cc}\p{Cf}]/u)
    }
  })

  test('as JSON', async () => {
    const { code, stdout } = await verify(audit, '--json')
    assert.equal(code, 0)
    const result = JSON.parse(stdout)
    assert.equal(result.intact, true)
    assert.deepEqual([result.events, result.seals, result.last_position, result.finding_count], [8, 2, 8, 0])
    assert.equal(result.last_seal.head, chain[1]?.head)
    assert.deepEqual(result.findings, [])
  })

  test('from standard input, with keys fetched from a service', async () => {
    const input = asFile(lines).toString()
    const [piped, fetched, named] = await Promise.all([
      hitl(['audit', 'verify', '-', '--keys', keys], { input }),
      hitl(['audit', 'verify', audit, '--keys', url]),
      hitl(['audit', 'verify', audit, '--keys', `${url}/.well-known/jwks.json`]),
    ])
    assert.deepEqual([piped.code, fetched.code, named.code], [0, 0, 0])
    assert.match(piped.stdout, /^Intact: The export\n/)
  })

  test('compared with the heads that were written elsewhere', async () => {
    const heads = await file('heads.jsonl', chain.map(({ head }) => `${JSON.stringify({ head })}\n`).join(''))
    const { code, stdout } = await verify(audit, '--heads', heads)
    assert.equal(code, 0)
    assert.doesNotMatch(stdout, /No head from outside/)
    assert.match(stdout, /Heads outside +2 compared, up to seal 2\n/)
  })
})

describe('an export that was changed: exit 2', () => {
  test('an edit: the line, the position and the code, as text and as JSON', async () => {
    const edited = lines.map((line, index) => (index === 2 ? line.replace('request.created', 'request.removed') : line))
    const path = await file('edited.jsonl', asFile(edited))
    const [text, json] = await Promise.all([verify(path), verify(path, '--json')])
    assert.equal(text.code, 2)
    assert.match(text.stdout, /^NOT intact: .*edited\.jsonl was changed, 1 finding\n/)
    assert.match(text.stdout, /^- line 3, position 2.*\[event\.edited\]$/m)
    assert.equal(json.code, 2)
    const result = JSON.parse(json.stdout)
    assert.equal(result.intact, false)
    assert.deepEqual([result.findings[0].line, result.findings[0].position], [3, 2])
  })

  test('the end is cut off', async () => {
    const { code, stdout } = await verify(await file('cut.jsonl', asFile(lines.slice(0, -3))))
    assert.equal(code, 2)
    assert.match(stdout, /\[end\.missing\]/)
  })

  test('a complete file whose newest seal is older than the one that was written elsewhere', async () => {
    const heads = await file('later.jsonl', chain.map(({ head }) => `${head}\n`).join(''))
    const shorter = await file('shorter.jsonl', asFile(exportLines(chain.slice(0, 1), signer)))
    assert.equal((await verify(shorter)).code, 0)
    const { code, stdout } = await verify(shorter, '--heads', heads)
    assert.equal(code, 2)
    assert.match(stdout, /\[outside\.cut_off\]/)
  })

  test('neither changed nor intact can be proven: reported as not proven', async () => {
    const unsure = exportLines(chain, signer, { erased: new Set([2]), end: { unsealed_erasures: 1 } })
    const path = await file('unsure.jsonl', asFile(unsure))
    const [text, json] = await Promise.all([verify(path), verify(path, '--json')])
    assert.equal(text.code, 3)
    assert.match(
      text.stdout,
      /^NOT proven: nothing shows that .*unsure\.jsonl was changed, nor that it was not, 1 finding\n/,
    )
    assert.match(text.stdout, /^- line 3, position 2.*\[erasable\.unproven\]$/m)
    const { intact, changed } = JSON.parse(json.stdout)
    assert.deepEqual([intact, changed], [false, false])
  })

  test('signed with another key of the same id', async () => {
    const attacker = createSigner('key-1')
    const path = await file(
      'forged.jsonl',
      asFile(
        exportLines(
          chainOf([3, 5], () => attacker),
          attacker,
        ),
      ),
    )
    assert.equal((await verify(path)).code, 2)
  })

  test('changed throughout: the first twenty findings, and how many there are', async () => {
    const long = exportLines(
      chainOf([50], () => signer),
      signer,
    )
    const path = await file('all.jsonl', asFile(long.map((line) => line.replace('request.created', 'request.removed'))))
    const { code, stdout } = await verify(path)
    assert.equal(code, 2)
    assert.equal(stdout.match(/^- line/gm)?.length, 20)
    assert.match(stdout, /^- and 30 more/m)
  })
})

describe('what cannot be checked is neither intact nor changed', () => {
  for (const [what, args, code, says] of [
    ['no such file', ['nowhere.jsonl', '--keys', keys], 1, /There is no file nowhere\.jsonl/],
    ['a folder', [folder.path, '--keys', keys], 1, /cannot be read: EISDIR/],
    ['no such keys', [audit, '--keys', 'nowhere.json'], 1, /There is no file nowhere\.json/],
    ['keys that are none', [audit, '--keys', audit], 1, /contains no key set/],
    ['no such heads', [audit, '--keys', keys, '--heads', 'nowhere'], 1, /There is no file nowhere/],
    ['a service that does not know', [audit, '--keys', `${url}/elsewhere.json`], 69, /it returned 404/],
    ['no service', [audit, '--keys', 'http://127.0.0.1:9/'], 69, /could not be fetched/],
    ['keys over an open line', [audit, '--keys', 'http://hitl.example.com'], 64, /not encrypted/],
    ['no keys', [audit], 64, /needs --keys FILE\|URL\. The public keys/],
    ['a spreadsheet', ['audit.csv', '--keys', keys], 64, /CSV export contains no proof/],
  ] as const) {
    test(`${what}: exit ${code}`, async () => {
      const ended = await hitl(['audit', 'verify', ...args])
      assert.equal(ended.code, code, ended.stderr)
      assert.equal(ended.stdout, '')
      assert.match(ended.stderr, says)
      assert.doesNotMatch(ended.stderr, /\bat .*:\d+:\d+/)
    })
  }

  test('a key set without a key for the audit: exit 1', async () => {
    const other = await file('other.json', JSON.stringify({ keys: [{ ...signer.jwk, purpose: 'certificate' }] }))
    const { code, stderr } = await hitl(['audit', 'verify', audit, '--keys', other])
    assert.equal(code, 1)
    assert.match(stderr, /no Ed25519 key for the audit/)
  })
})
