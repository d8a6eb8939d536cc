import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, beforeEach, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { asFile, chainOf, createSigner, exportLines } from './audit-export.ts'
import { hitl, start, temporaryFolder } from './hitl-process.ts'

const signer = createSigner('key-1')
const whole = asFile(
  exportLines(
    chainOf([3, 500], () => signer),
    signer,
  ),
)
const token = 'eyJhbGciOiJIUzI1NiJ9.e30.s3cret-signature'

/** A remote service that replies as the test says and records the calls. */
type Answer = (request: IncomingMessage, response: ServerResponse) => void
let answer: Answer = (_request, response) => void response.end(whole)
const asked: IncomingMessage[] = []
const server = createServer((request, response) => {
  asked.push(request)
  answer(request, response)
}).listen(0, '127.0.0.1')
await once(server, 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
const folder = await temporaryFolder()
after(async () => {
  server.closeAllConnections()
  server.close()
  await folder.remove()
})
beforeEach(() => {
  asked.length = 0
  answer = (_request, response) => void response.end(whole)
})

let names = 0
const newPath = (): string => {
  names += 1
  return join(folder.path, `audit ${names}.jsonl`)
}
const exportTo = (path: string | null, ...more: readonly string[]) =>
  hitl(['audit', 'export', '--url', url, ...(path === null ? [] : ['--output', path]), ...more], {
    environment: { HITL_TOKEN: token },
    cwd: folder.path,
  })
const leftOver = async (path: string): Promise<readonly string[]> =>
  (await readdir(folder.path)).filter((name) => join(folder.path, name).startsWith(path))

describe('an export from a remote service', () => {
  test('to a file: the same bytes, readable by its owner only, and what to do next', async () => {
    const path = newPath()
    const { code, stdout, stderr } = await exportTo(path)
    assert.equal(code, 0, stderr)
    assert.ok((await readFile(path)).equals(whole))
    if (process.platform !== 'win32') assert.equal((await stat(path)).mode & 0o777, 0o600)
    assert.match(stdout, /It ends with seal 2, position 503\. The next one may begin after it: --after 2\n/)
    assert.match(stdout, /hitl audit verify .* --keys http/)
    assert.deepEqual(await leftOver(path), [path.slice(folder.path.length + 1)])
    assert.equal(asked[0]?.url, '/api/v1/events/export?format=jsonl')
    assert.equal(asked[0]?.headers.authorization, `Bearer ${token}`)
  })

  test('--json: reports what was written', async () => {
    const path = newPath()
    const { code, stdout } = await exportTo(path, '--json', '--after', '4711')
    assert.equal(code, 0)
    const sha256 = createHash('sha256').update(whole).digest('hex')
    const expected = {
      file: path,
      format: 'jsonl',
      bytes: whole.length,
      sha256,
      last_seal: 2,
      last_position: 503,
      unsealed_events: 0,
    }
    assert.deepEqual(JSON.parse(stdout), expected)
    assert.equal(asked[0]?.url, '/api/v1/events/export?format=jsonl&after=4711')
  })

  test('to standard output: the bytes and nothing else', async () => {
    const { code, stdout, stderr } = await exportTo(null)
    assert.equal(code, 0)
    assert.equal(stdout, whole.toString())
    assert.equal(stderr, '')
  })

  test('as CSV, which has no end of its own', async () => {
    answer = (_request, response) => void response.end('"position"\r\n"1"\r\n')
    const path = newPath()
    const { code } = await exportTo(path, '--format', 'csv')
    assert.equal(code, 0)
    assert.equal(await readFile(path, 'utf8'), '"position"\r\n"1"\r\n')
    assert.equal(asked[0]?.url, '/api/v1/events/export?format=csv')
  })

  test('below a path of a proxy', async () => {
    await hitl(['audit', 'export', '--url', `${url}/hitl/`, '--token', token], { cwd: folder.path })
    assert.equal(asked[0]?.url, '/hitl/api/v1/events/export?format=jsonl')
  })
})

describe('an export that breaks off: exit 69, no file is left', () => {
  for (const [what, breaks, says] of [
    [
      'the connection is cut',
      (response: ServerResponse) => void response.write(whole.subarray(0, 60_000), () => response.destroy()),
      /broke off after \d+ bytes/,
    ],
    [
      'fewer bytes arrive than announced',
      (response: ServerResponse) => {
        response.setHeader('content-length', whole.length)
        response.write(whole.subarray(0, 60_000), () => response.destroy())
      },
      /broke off after \d+ bytes/,
    ],
    [
      'it ends normally but without an end line',
      (response: ServerResponse) => void response.end(whole.subarray(0, 60_000)),
      /broke off after 60000 bytes \(it has no end\)/,
    ],
  ] as const) {
    test(what, async () => {
      answer = (_request, response) => breaks(response)
      const path = newPath()
      const [toFile, toOutput] = await Promise.all([exportTo(path), exportTo(null)])
      for (const { code, stderr } of [toFile, toOutput]) {
        assert.equal(code, 69, stderr)
        assert.match(stderr, says)
        assert.match(stderr, /it is incomplete\.\nRun it again\./)
      }
      assert.deepEqual(await leftOver(path), [])
    })
  }

  test('SIGTERM in the middle: exit 143, no file is left', async () => {
    const begun = Promise.withResolvers<void>()
    answer = (_request, response) => void response.write(whole.subarray(0, 60_000), () => begun.resolve())
    const path = newPath()
    const args = ['audit', 'export', '--url', url, '-o', path]
    const running = start(args, { environment: { HITL_TOKEN: token }, cwd: folder.path })
    await begun.promise
    while (!(await leftOver(path)).some((name) => name.endsWith('.partial'))) await delay(10)
    running.child.kill('SIGTERM')
    assert.equal((await running.ended).code, 143)
    assert.deepEqual(await leftOver(path), [])
  })
})

describe('a service that refuses', () => {
  const problem = (status: number, code: string, detail: string, headers = {}): Answer => {
    return (_request, response) => {
      response.writeHead(status, { 'content-type': 'application/problem+json', ...headers })
      response.end(JSON.stringify({ status, code, detail }))
    }
  }
  for (const [what, respond, exitCode, code, says] of [
    ['a token that is over', problem(401, 'auth.invalid', 'Sign in.'), 1, 'auth.invalid', /Sign in\..*Sign in again/s],
    ['a person who may not', problem(403, 'auth.forbidden', 'Auditors may.'), 1, 'auth.forbidden', /Auditors may\./],
    [
      'a seal that is not there',
      problem(404, 'audit.seal_not_found', 'No such seal.'),
      1,
      'audit.seal_not_found',
      /No such seal/,
    ],
    [
      'too many',
      problem(429, 'audit.too_many_exports', 'Busy.', { 'retry-after': '10' }),
      69,
      'audit.too_many_exports',
      /Try again in 10 s/,
    ],
    ['no database', problem(503, 'service.unavailable', 'Away.'), 69, 'service.unavailable', /Away\./],
    [
      'another program',
      (_q: unknown, r: ServerResponse) => void r.writeHead(404).end('<html>'),
      1,
      'service.unknown',
      /in a form that no HITL service uses/,
    ],
    [
      'it moved',
      (_q: unknown, r: ServerResponse) => void r.writeHead(301, { location: 'https://b.example/' }).end(),
      1,
      'service.moved',
      /redirects to https:\/\/b\.example/,
    ],
  ] as const) {
    test(`${what}: exit ${exitCode}, ${code}`, async () => {
      answer = respond as Answer
      const path = newPath()
      const [text, json] = await Promise.all([exportTo(path), exportTo(`${path}.json`, '--json')])
      assert.equal(text.code, exitCode)
      assert.match(text.stderr, says)
      assert.equal(json.code, exitCode)
      assert.equal(JSON.parse(json.stderr).error.code, code)
      assert.ok(!`${text.stderr}${json.stderr}`.includes('s3cret'))
      assert.deepEqual(await leftOver(path), [])
    })
  }

  test('nothing listens: exit 69', async () => {
    const args = ['audit', 'export', '--url', 'http://127.0.0.1:9', '--token', token]
    const { code, stderr } = await hitl(args, { cwd: folder.path })
    assert.equal(code, 69)
    assert.match(stderr, /http:\/\/127\.0\.0\.1:9 does not respond: /)
  })
})

describe('a file that already exists: exit 1, and it is left unchanged', () => {
  test('an earlier export, or what is left of one that was killed', async () => {
    const path = newPath()
    await writeFile(path, 'earlier')
    const taken = await exportTo(path)
    assert.equal(taken.code, 1)
    assert.match(taken.stderr, /already exists/)
    assert.equal(await readFile(path, 'utf8'), 'earlier')
    const other = newPath()
    await writeFile(`${other}.partial`, 'rest')
    const rest = await exportTo(other)
    assert.equal(rest.code, 1)
    assert.match(rest.stderr, /\.partial exists/)
    assert.equal(await readFile(`${other}.partial`, 'utf8'), 'rest')
    assert.equal(asked.length, 0, 'nobody was asked')
  })

  test('a folder that does not exist', async () => {
    const { code, stderr } = await exportTo(join(folder.path, 'nowhere', 'audit.jsonl'))
    assert.equal(code, 1)
    assert.match(stderr, /cannot be written: ENOENT/)
  })
})

describe('a command line that cannot work: exit 64', () => {
  for (const [what, args, says] of [
    ['no token', ['--url', url], /HITL_TOKEN/],
    ['a token with a line end', ['--url', url, '--token', 'a\nb'], /not an access token/],
    ['a token without a service', ['--token', token], /--token goes with --url/],
    [
      'an organization beside a token',
      ['--url', url, '--token', token, '--organization', 'x'],
      /the token says which organization/,
    ],
    ['an open line', ['--url', 'http://hitl.example.com', '--token', token], /not encrypted.*\n.*--allow-http/],
    ['no address', ['--url', 'hitl.example.com', '--token', token], /an address such as https/],
    [
      'a password in the address',
      ['--url', 'https://u:s3cret@hitl.example.com', '--token', token],
      /must not contain a user name or password/,
    ],
    ['a seal that is no number', ['--after', 'yesterday'], /number of a seal/],
    ['an unknown format', ['--format', 'xml'], /one of: jsonl, csv/],
  ] as const) {
    test(what, async () => {
      const { code, stdout, stderr } = await hitl(['audit', 'export', ...args], { cwd: folder.path })
      assert.equal(code, 64, stderr)
      assert.equal(stdout, '')
      assert.match(stderr, says)
      assert.ok(!stderr.includes('s3cret'))
      assert.equal(asked.length, 0)
    })
  }
})
