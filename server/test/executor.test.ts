import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { generateKeyPairSync, sign } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { addFile } from './attachments/add-file.ts'
import { startTestApp, type TestApp } from './harness.ts'

const executor = join(import.meta.dirname, '../../examples/executor/executor.mjs')

let t: TestApp
let url: string
let folder: string
before(async () => {
  t = await startTestApp()
  url = await t.app.http.listen({ host: '127.0.0.1', port: 0 })
  folder = await mkdtemp(join(tmpdir(), 'hitl-executor-'))
})
after(async () => {
  await rm(folder, { recursive: true })
  await t.stop()
})

const action = { title: 'Say hello?', context: { command: [process.execPath, '-p', '"done: " + 6 * 7'], amount: 1.5 } }

let files = 0
/** Runs the example in a child process with `held` as its action, by default against the service itself. */
async function run(requestId: string, held: unknown = action, address = url) {
  files += 1
  const file = join(folder, `action-${files}.json`)
  await writeFile(file, typeof held === 'string' ? held : JSON.stringify(held))
  const env = { PATH: process.env.PATH, HITL_URL: address, HITL_API_KEY: t.apiKey }
  return new Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>((resolve) => {
    execFile(process.execPath, [executor, requestId, file], { env }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    )
  })
}

async function decided(decision = 'approve', fields: object = action): Promise<string> {
  const { id } = await t.createRequest({ ...fields })
  const reply = await t.call('POST', `/api/v1/requests/${id}/respond`, { as: t.reviewer.token, body: { decision } })
  assert.equal(reply.status, 200, reply.text)
  return id
}

const refusedBecause = async (why: RegExp, id: string, held?: unknown, address?: string): Promise<void> => {
  const { code, stdout, stderr } = await run(id, held, address)
  assert.deepEqual([code, stdout], [1, ''], stderr)
  assert.match(stderr, /^refused: /)
  assert.match(stderr, why)
}
const isUsed = async (id: string): Promise<boolean> =>
  (await t.call('GET', `/api/v1/requests/${id}`, { as: t.apiKey })).body.redeemed_at !== null

describe('the example executor', () => {
  test('runs what was approved, once', async () => {
    const id = await decided()
    const first = await run(id)
    assert.deepEqual([first.code, first.stdout], [0, 'done: 42\n'], first.stderr)
    assert.ok(await isUsed(id))
    await refusedBecause(/already used/, id)
  })

  test('runs it once when started ten times at once', async () => {
    const id = await decided()
    const runs = await Promise.all(Array.from({ length: 10 }, () => run(id)))
    assert.equal(runs.filter(({ stdout }) => stdout === 'done: 42\n').length, 1)
    assert.equal(runs.filter(({ code, stdout }) => code === 1 && stdout === '').length, 9)
  })

  test('recognizes the same action in different JSON formatting', async () => {
    const [program, ...words] = action.context.command
    const spelled = `{ "context": { "amount": 1.50, "command": ${JSON.stringify([program, ...words])} }, "title": "Say\\u0020hello?", "description": null }`
    assert.equal((await run(await decided(), spelled)).code, 0)
  })

  for (const [what, held] of [
    [
      'another word',
      { ...action, context: { ...action.context, command: [process.execPath, '-p', '"done: " + 6 * 8'] } },
    ],
    ['one word more', { ...action, context: { ...action.context, command: [...action.context.command, '--'] } }],
    ['another number', { ...action, context: { ...action.context, amount: 1.5000001 } }],
    ['a number as text', { ...action, context: { ...action.context, amount: '1.5' } }],
    ['one member more', { ...action, context: { ...action.context, force: true } }],
    ['one member less', { ...action, context: { command: action.context.command } }],
    ['another title', { ...action, title: 'Say hello!' }],
    ['a description', { ...action, description: '' }],
    ['a number beyond all', JSON.stringify(action).replace('1.5', '1e999')],
  ] as const) {
    test(`refuses an action that differs by ${what}, and leaves the approval unused`, async () => {
      const id = await decided()
      await refusedBecause(/not the action that was approved/, id, held)
      assert.equal(await isUsed(id), false)
    })
  }

  test('refuses an action that was rejected, sent back or not decided yet', async () => {
    await refusedBecause(/"reject"/, await decided('reject'))
    await refusedBecause(/"request_changes"/, await decided('request_changes'))
    await refusedBecause(/no decision yet/, (await t.createRequest(action)).id)
  })
  test('refuses if the service does: an unknown request or a wrong key', async () => {
    await refusedBecause(/not found/, '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a61')
  })
})

describe('the arguments of an action', () => {
  const say = (text: string) => ({ command: [process.execPath, '-p', JSON.stringify(text)] })
  const proposed = {
    title: 'Say it?',
    context: {},
    action: { name: 'say', args: say('proposed') },
    answer: { edit_args: true, attachments: {} },
  }
  const answered = async (body: object): Promise<string> => {
    const { id } = await t.createRequest(proposed)
    const reply = await t.call('POST', `/api/v1/requests/${id}/respond`, { as: t.reviewer.token, body })
    assert.equal(reply.status, 200, reply.text)
    return id
  }

  test('are those that were proposed, or those that a person edited', async () => {
    assert.equal((await run(await answered({ decision: 'approve' }), proposed)).stdout, 'proposed\n')
    const id = await answered({ decision: 'approve', args: say('edited') })
    assert.equal((await run(id, proposed)).stdout, 'edited\n')
  })

  for (const [what, read, forged, why] of [
    ['they', 'edited', 'forged', /not the arguments that were approved/],
    ['the files with them', 'scan.png', 'scam.png', /not the files of the answer/],
  ] as const)
    test(`are refused when ${what} are not what the certificate names`, () => refusedWith(read, forged, why))

  const refusedWith = async (read: string, forged: string, why: RegExp): Promise<void> => {
    const { id } = await t.createRequest(proposed)
    const { body: file } = await addFile(t, id)
    const body = { decision: 'approve', args: say('edited'), attachments: [file.id] }
    const answer = await t.call('POST', `/api/v1/requests/${id}/respond`, { as: t.reviewer.token, body })
    assert.equal(answer.status, 200, answer.text)
    const server = createServer((request, response) => {
      void (async () => {
        const { authorization = '' } = request.headers
        const reply = await fetch(`${url}${request.url}`, { headers: { authorization } })
        const text = await reply.text()
        response.writeHead(reply.status).end(text.replaceAll(read, forged))
      })()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      const { port } = server.address() as AddressInfo
      await refusedBecause(why, id, proposed, `http://127.0.0.1:${port}`)
      assert.equal(await isUsed(id), false)
    } finally {
      server.close()
    }
  }
})

describe('a man in the middle between executor and service', () => {
  const foreign = generateKeyPairSync('ed25519')
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const decode = (segment: string) => JSON.parse(Buffer.from(segment, 'base64url').toString('utf8'))
  const signedBy = (key: Parameters<typeof sign>[2], header: unknown, claims: unknown): string => {
    const signed = `${encode(header)}.${encode(claims)}`
    return `${signed}.${sign(null, Buffer.from(signed), key).toString('base64url')}`
  }
  type Change = (
    header: Record<string, unknown>,
    claims: Record<string, unknown>,
    jws: string,
  ) => string | Promise<string>

  /** Forwards everything to the service except the certificate. */
  async function between(change: Change, work: (address: string) => Promise<void>): Promise<void> {
    const server = createServer((request: IncomingMessage, response) => {
      void (async () => {
        const chunks: Buffer[] = []
        for await (const chunk of request) chunks.push(chunk as Buffer)
        const { authorization = '', 'content-type': type = '' } = request.headers
        const reply = await fetch(`${url}${request.url}`, {
          method: request.method ?? 'GET',
          headers: { authorization, 'content-type': type },
          ...(chunks.length > 0 ? { body: Buffer.concat(chunks) } : {}),
        })
        const body = (await reply.json()) as Record<string, unknown>
        if (typeof body.certificate === 'string' && request.url?.endsWith('/certificate')) {
          const [header = '', payload = ''] = body.certificate.split('.')
          body.certificate = await change(decode(header), decode(payload), body.certificate)
        }
        response.writeHead(reply.status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
      })()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    } finally {
      server.closeAllConnections()
      server.close()
    }
  }

  const tricks: readonly (readonly [string, string, RegExp, Change])[] = [
    [
      'turns a rejection into an approval',
      'reject',
      /signature/,
      (header, claims, jws) => `${encode(header)}.${encode({ ...claims, decision: 'approve' })}.${jws.split('.')[2]}`,
    ],
    [
      'signs with a key of their own under the published id',
      'reject',
      /signature/,
      (header, claims) => signedBy(foreign.privateKey, header, { ...claims, decision: 'approve' }),
    ],
    [
      'signs with a key of their own and brings it along',
      'reject',
      /not a decision certificate/,
      (header, claims) => {
        const jwk = foreign.publicKey.export({ format: 'jwk' })
        return signedBy(foreign.privateKey, { ...header, kid: 'mine', jwk }, { ...claims, decision: 'approve' })
      },
    ],
    [
      'leaves the signature out',
      'reject',
      /not a decision certificate/,
      (header, claims) => `${encode({ ...header, alg: 'none' })}.${encode({ ...claims, decision: 'approve' })}.`,
    ],
    [
      'brings what the service has signed for another purpose',
      'reject',
      /not a decision certificate/,
      (_header, claims) =>
        t.app.identity.signingKeys.sign('audit_head', { ...claims, decision: 'approve' }, { typ: 'hitl-decision+jwt' }),
    ],
    [
      'brings another type of thing',
      'approve',
      /not a decision certificate/,
      (_header, claims) => t.app.identity.signingKeys.sign('certificate', claims, { typ: 'JWT' }),
    ],
    [
      'brings an approval that has expired',
      'approve',
      /expired/,
      (_header, claims) =>
        t.app.identity.signingKeys.sign(
          'certificate',
          { ...claims, exp: Math.floor(Date.now() / 1_000) },
          { typ: 'hitl-decision+jwt' },
        ),
    ],
    [
      'brings an approval without an end',
      'approve',
      /expired/,
      (_header, claims) => {
        const { exp: _exp, ...endless } = claims
        return t.app.identity.signingKeys.sign('certificate', endless, { typ: 'hitl-decision+jwt' })
      },
    ],
  ]
  for (const [what, decision, why, change] of tricks) {
    test(`${what}: refused`, async () => {
      const id = await decided(decision)
      await between(change, (address) => refusedBecause(why, id, action, address))
      assert.equal(await isUsed(id), false)
    })
  }

  test('brings the approval of another request with the same action: refused', async () => {
    const other = await decided()
    const id = await decided('reject')
    const { certificate } = (await t.call('GET', `/api/v1/requests/${other}/certificate`, { as: t.apiKey })).body
    await between(
      () => certificate,
      (address) => refusedBecause(/another request/, id, action, address),
    )
  })

  test('changes nothing: runs', async () => {
    const id = await decided()
    await between(
      (_header, _claims, jws) => jws,
      async (address) => assert.equal((await run(id, action, address)).stdout, 'done: 42\n'),
    )
  })
})
