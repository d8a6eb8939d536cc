import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { verifyExport } from '../../../cli/src/audit-verify.ts'
import { createSigner } from '../../../cli/test/audit-export.ts'
import { createRandom, tamperings } from '../../../cli/test/audit-tampering.ts'
import { createApp } from '../../src/app.ts'
import { createLog } from '../../src/platform/log.ts'
import { addTenant } from '../authorization/tenant.ts'
import { eventually } from '../eventually.ts'
import { secretKey, startTestApp, type TestApp, testConfig } from '../harness.ts'
import { addEvents, exportOf, sealAll, verified } from './chain.ts'

let t: TestApp
before(async () => {
  t = await startTestApp()
  for (let wave = 0; wave < 5; wave += 1) {
    for (let n = 0; n < 4; n += 1) await t.createRequest({ title: `Request ${wave}-${n}: "é" 😀`, context: { n } })
    await sealAll(t)
  }
})
after(() => t.stop())

const linesOf = (text: string): string[] => text.trimEnd().split('\n')
const recordsOf = (text: string) =>
  linesOf(text)
    .filter((line) => line.startsWith('{"position":'))
    .map((line) => JSON.parse(line).record)
const allRecords = async () =>
  (await t.sql('select record from events where organization_id = $1 order by era, xact, id', [t.organizationId])).map(
    (row) => JSON.parse(String(row.record)),
  )

describe('the export as JSONL', () => {
  test('has every event that was committed before the call, sealed, and verifies offline', async () => {
    const known = await allRecords()
    const reply = await t.call('GET', '/api/v1/events/export', { as: t.admin.token })
    assert.equal(reply.headers['content-type'], 'application/jsonl; charset=utf-8')
    assert.match(String(reply.headers['content-disposition']), /^attachment; filename="audit-[0-9a-f-]{36}\.jsonl"$/)
    assert.deepEqual(recordsOf(reply.text).slice(0, known.length), known)
    const result = await verified(t, reply.text)
    assert.deepEqual(result.findings, [])
    assert.equal(result.events, recordsOf(reply.text).length)
    assert.equal(result.exportedAt, t.clock.now().toISOString())
  })

  test('is itself in the audit: who downloaded it, and from where', async () => {
    const last = recordsOf(await exportOf(t)).at(-1)
    assert.deepEqual(
      [last.kind, last.actor.id, last.after],
      ['audit.exported', t.admin.id, { format: 'jsonl', after_seal: null }],
    )
  })

  test('can continue after the last seal of an earlier export, and both fit together', async () => {
    const first = await verified(t, await exportOf(t))
    await t.createRequest({ title: 'later' })
    const text = await exportOf(t, `?after=${first.lastSeal?.number}`)
    const next = await verified(t, text, [first.lastSeal?.head ?? ''])
    assert.deepEqual(next.findings, [])
    assert.equal(next.firstPosition, Number(first.lastPosition) + 1)
    assert.ok(recordsOf(text).length < 10)
    assert.match(next.limits.join(), /begins with seal/)
  })

  test('is intact when compared with heads that were sealed while it was read or later', async () => {
    const heads = async () =>
      (await t.sql('select head from audit_seals where organization_id = $1 order by number', [t.organizationId])).map(
        ({ head }) => String(head),
      )
    const sealLater = async () => {
      const before = (await heads()).length
      t.clock.advance(1_000)
      await t.createRequest()
      await eventually('sealed', async () => {
        await t.app.audit.drain()
        return (await heads()).length > before
      })
      t.clock.advance(1_000)
    }
    const lines = await t.app.audit.exportHere(t.organizationId, 'jsonl', null)
    assert.ok(lines)
    let text = ''
    for (const what of ['the header', 'the first page', 'what came meanwhile']) {
      const { value } = await lines.next()
      assert.ok(value, what)
      text += value
      await sealLater()
    }
    for await (const part of lines) text += part
    await sealLater()
    const { findings, limits } = await verified(t, text, await heads())
    assert.deepEqual(findings, [])
    assert.match(limits.join(' '), /2 of the heads from outside were sealed after that/)
  })

  test('404 after a seal that does not exist, 422 after something that is not a number', async () => {
    const reply = await t.call('GET', '/api/v1/events/export?after=999999', { as: t.admin.token })
    assert.deepEqual([reply.status, reply.body.code], [404, 'audit.seal_not_found'])
    for (const after of ['-1', 'x', '1.5']) {
      assert.equal((await t.call('GET', `/api/v1/events/export?after=${after}`, { as: t.admin.token })).status, 422)
    }
  })

  test('503 before the first byte if the signing key is not available', async (context) => {
    const u = await startTestApp()
    context.after(() => u.stop())
    await u.app.audit.drain()
    await u.sql(`update data_keys set kek_id = 'gone'`)
    const log = createLog('silent', false)
    // A process that has the key cached goes on with it; this one has not.
    const blind = await createApp({ config: testConfig(), secretKey, connection: u.connection, log, clock: u.clock })
    context.after(() => blind.stop())
    const reply = await blind.http.inject({
      url: '/api/v1/events/export',
      headers: { authorization: `Bearer ${u.admin.token}` },
    })
    assert.equal(reply.statusCode, 503, reply.body)
    assert.match(String(reply.headers['content-type']), /problem/)
  })

  test('of another organization cannot be reached: the credential decides the organization', async () => {
    const text = await exportOf(t)
    for (const record of recordsOf(text)) assert.equal(record.organization_id, t.organizationId)
  })

  // The verifier's own test makes ten thousand at random; here each kind is tried on an export of the service.
  test('does not verify after any known kind of tampering', async () => {
    const lines = linesOf(await exportOf(t))
    const original = Buffer.from(`${lines.join('\n')}\n`)
    const random = createRandom(4_711)
    const attacker = createSigner('attacker')
    const { body: publicKeys } = await t.call('GET', '/.well-known/jwks.json')
    const all = Object.entries(tamperings)
    for (let round = 0, done = 0; done < 5 * all.length; round += 1) {
      const [name, tamper] = all[round % all.length] ?? ['', () => []]
      const changed = tamper([...lines], random, attacker)
      const file = Buffer.isBuffer(changed) ? changed : Buffer.from(changed.map((line) => `${line}\n`).join(''))
      // Some change nothing here, for example because nothing is erased.
      if (file.equals(original)) continue
      const { ok } = await verifyExport([file.toString()], { publicKeys, expectHead: [] })
      assert.equal(ok, false, name)
      done += 1
    }
  })
})

describe('the export as CSV', () => {
  test('has a line per event, and no cell that a spreadsheet would execute', async () => {
    await t.createRequest({ title: '=HYPERLINK("http://evil.example")' })
    await t.call('POST', '/api/v1/requests', {
      as: t.apiKey,
      body: { title: 'x', context: {} },
      headers: { 'x-request-id': '-2' },
    })
    // Write the refused calls of earlier tests now, not during this test.
    await t.app.audit.refusedCalls.flush()
    const reply = await t.call('GET', '/api/v1/events/export?format=csv', { as: t.admin.token })
    assert.match(String(reply.headers['content-type']), /^text\/csv/)
    const rows = parseCsv(reply.text)
    const [names, ...cells] = rows
    assert.equal(names?.[0], 'position')
    assert.deepEqual(
      cells.map((row) => row.length),
      cells.map(() => names?.length),
    )
    assert.equal(cells.length, (await allRecords()).length)
    const column = (name: string) => cells.map((row) => row[names?.indexOf(name) ?? -1])
    assert.deepEqual(
      column('position').map(Number),
      cells.map((_, at) => at + 1),
    )
    assert.ok(column('http_request_id').includes("'-2"))
    assert.ok(column('erasable').some((value) => value?.includes('HYPERLINK')))
    for (const cell of cells.flat()) assert.doesNotMatch(cell, /^[=+@\t\r-]/)
    assert.ok(!reply.text.includes('"salt"'))
  })
})

describe('the export as a stream', () => {
  /** A service whose organization has an audit of 40 MB, more than any buffer holds. */
  const withMuch = async (environment: Readonly<Record<string, string>> = {}) => {
    const u = await startTestApp({ environment })
    const fill = (organizationId: string) =>
      addEvents(u, { organizationId, count: 20_000, after: `'"' || repeat('x', 1800) || '"'` })
    await fill(u.organizationId)
    await u.app.http.listen({ host: '127.0.0.1', port: 0 })
    const { port } = u.app.http.server.address() as AddressInfo
    /** Begins an export and reads nothing of it yet. */
    const open = async (token = u.admin.token) => {
      const call = request({ port, path: '/api/v1/events/export', headers: { authorization: `Bearer ${token}` } })
      call.on('error', () => {})
      call.end()
      const [reply] = (await once(call, 'response')) as [IncomingMessage]
      reply.pause()
      reply.on('error', () => {})
      return { call, reply, status: reply.statusCode }
    }
    return { u, open, fill }
  }
  let much: Awaited<ReturnType<typeof withMuch>>
  before(async () => {
    much = await withMuch()
  })
  after(() => much.u.stop())

  test('is read from the database no faster than the caller reads', async () => {
    const { u, open } = much
    let socket: Socket | undefined
    u.app.http.server.once('connection', (opened: Socket) => {
      socket = opened
    })
    const { reply } = await open()
    // What fits into the sockets' buffers, and a page.
    const written = await settled(() => (socket?.bytesWritten ?? 0) + (socket?.writableLength ?? 0))
    assert.ok(written > 0 && written < 15_000_000, `${written} bytes were written`)
    let bytes = 0
    let tail = ''
    reply.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      tail = chunk.toString()
    })
    reply.resume()
    await once(reply, 'end')
    assert.ok(bytes > 40_000_000)
    assert.match(tail, /\{"end":"[\w.-]+"\}\n$/)
  })

  test('429 for the third of an organization at once, until one of them ends', async () => {
    const { open } = much
    const held = [await open(), await open()]
    assert.deepEqual(
      held.map(({ status }) => status),
      [200, 200],
    )
    assert.equal((await open()).status, 429)
    held[0]?.call.destroy()
    await eventually('a place is free', async () => {
      const { call, status } = await open()
      call.destroy()
      return status === 200
    })
    for (const { call } of held) call.destroy()
  })

  test('readers that stall do not block other organizations, and are disconnected', async (context) => {
    const { u, open, fill } = await withMuch({ REQUEST_TIMEOUT_SECONDS: '3' })
    context.after(() => u.stop())
    const other = await addTenant(u)
    await fill(other.organizationId)
    const held = [await open(), await open()]
    assert.equal((await open()).status, 429)
    const another = await open(other.people.auditor.token)
    assert.equal(another.status, 200)
    // This one reads on, so nothing happens to it.
    let tail = ''
    another.reply.on('data', (chunk: Buffer) => {
      tail = chunk.toString()
    })
    another.reply.resume()
    await once(another.reply, 'end')
    assert.match(tail, /\{"end":"[\w.-]+"\}\n$/)
    await eventually('both places are free', async () => {
      // Both at once, so that both stalled readers are gone and neither can read on below.
      const opened = [await open(), await open()]
      for (const { call } of opened) call.destroy()
      return opened.every(({ status }) => status === 200)
    })
    for (const { reply } of held) {
      let text = ''
      reply.on('data', (chunk: Buffer) => {
        text = chunk.toString()
      })
      reply.resume()
      await eventually('the reply breaks off', async () => reply.closed)
      assert.equal(reply.complete, false)
      assert.doesNotMatch(text, /"end"/)
    }
  })
})

async function settled(measure: () => number): Promise<number> {
  let last = -1
  let still = 0
  return eventually('nothing more is written', async () => {
    const now = measure()
    still = now === last ? still + 1 : 0
    last = now
    return still > 25 ? now : null
  })
}

/** RFC 4180. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = []
  for (const line of text.split('\r\n').slice(0, -1)) {
    rows.push([...line.matchAll(/"((?:[^"]|"")*)"(?:,|$)/g)].map(([, cell = '']) => cell.replaceAll('""', '"')))
  }
  return rows
}
