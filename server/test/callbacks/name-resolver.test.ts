import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { describe, type TestContext, test } from 'node:test'
import { createNameResolver } from '../../src/callbacks/name-resolver.ts'

type Records = Readonly<Record<string, { readonly A?: readonly string[]; readonly AAAA?: readonly Buffer[] }>>

const TYPE_A = 1
const TYPE_AAAA = 28
const V6 = Buffer.from('26064700470000000000000000001111', 'hex')

/** A DNS server on 127.0.0.1 (RFC 1035) that knows `records`, and says NXDOMAIN or stays silent about all else. */
async function dnsServer(t: TestContext, records: Records, isSilent = false) {
  const socket = createSocket('udp4')
  t.after(() => socket.close())
  const asked: string[] = []
  socket.on('message', (query, sender) => {
    const { name, type, end } = question(query)
    asked.push(name)
    const known = records[name]
    const data = type === TYPE_A ? known?.A?.map(ipv4Bytes) : type === TYPE_AAAA ? known?.AAAA : []
    if (known || !isSilent) socket.send(reply(query.subarray(0, end), known ? 0 : 3, type, data ?? []), sender.port)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return { servers: [`127.0.0.1:${socket.address().port}`], asked, socket }
}

function question(query: Buffer): { readonly name: string; readonly type: number; readonly end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 }
}

function reply(queryWithQuestion: Buffer, code: number, type: number, data: readonly Buffer[]): Buffer {
  const head = Buffer.from(queryWithQuestion)
  head.writeUInt16BE(0x8180 | code, 2)
  head.writeUInt16BE(data.length, 6)
  head.writeUInt32BE(0, 8)
  const records = data.map((bytes) => {
    const record = Buffer.alloc(12)
    record.writeUInt16BE(0xc00c, 0)
    record.writeUInt16BE(type, 2)
    record.writeUInt16BE(1, 4)
    record.writeUInt16BE(bytes.length, 10)
    return Buffer.concat([record, bytes])
  })
  return Buffer.concat([head, ...records])
}

function ipv4Bytes(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number))
}

describe('a host name is resolved', () => {
  test('to all its addresses, IPv4 first', async (t) => {
    const { servers } = await dnsServer(t, { 'agent.example.com': { A: ['192.0.2.1', '10.0.0.1'], AAAA: [V6] } })
    const addresses = await createNameResolver({ servers }).resolve('agent.example.com')
    assert.deepEqual([...addresses.slice(0, 2)].sort(), ['10.0.0.1', '192.0.2.1'])
    assert.deepEqual(addresses.slice(2), ['2606:4700:4700::1111'])
  })

  test('when it has addresses of one family only', async (t) => {
    const { servers } = await dnsServer(t, {
      'four.example.com': { A: ['192.0.2.1'] },
      'six.example.com': { AAAA: [V6] },
    })
    const { resolve } = createNameResolver({ servers })
    assert.deepEqual(await resolve('four.example.com'), ['192.0.2.1'])
    assert.deepEqual(await resolve('six.example.com'), ['2606:4700:4700::1111'])
  })

  test('by the operating system when it has one label, without asking the DNS servers', async (t) => {
    const { servers, asked } = await dnsServer(t, {})
    const addresses = await createNameResolver({ servers }).resolve('localhost')
    assert.ok(addresses.every((address) => address === '127.0.0.1' || address === '::1') && addresses.length > 0)
    assert.deepEqual(asked, [])
  })

  test('or not at all: cancel ends a look-up whose server stays silent', async (t) => {
    const { servers, socket } = await dnsServer(t, {}, true)
    const names = createNameResolver({ servers })
    const asked = once(socket, 'message')
    const result = names.resolve('agent.example.com')
    await asked
    names.cancel()
    await assert.rejects(result, { code: 'ECANCELLED' })
  })
})
