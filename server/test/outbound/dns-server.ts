import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'

export interface DnsQuestion {
  readonly name: string
  readonly type: 'A' | 'AAAA' | 'other'
  /** How often this name was queried for this type, from 1. */
  readonly count: number
  readonly over: 'udp' | 'tcp'
}

/** The reply of the server; none if null. */
export interface DnsAnswer {
  /** Addresses of both families; the reply has those of the queried family. */
  readonly addresses?: readonly string[]
  /** The CNAME chain from the queried name to the one that has the addresses. */
  readonly aliases?: readonly string[]
  /** Over UDP the reply has only this many records and the flag that TCP has more. */
  readonly truncatedTo?: number
  /** RCODE: 0 no error, 2 server failure, 3 no such name. */
  readonly code?: number
  readonly delayMs?: number
  /** Raw record data to send. */
  readonly raw?: readonly Buffer[]
}

/** A reply, or a function that returns it. */
export type DnsZone = Readonly<Record<string, DnsAnswer | ((question: DnsQuestion) => DnsAnswer | null)>>

export interface DnsServer {
  /** As `dns.setServers` takes them. */
  readonly servers: readonly string[]
  readonly asked: readonly DnsQuestion[]
  /** Resolves when `name` is queried the next time. */
  nextQuestion(name: string): Promise<void>
  close(): Promise<void>
}

const TYPE_A = 1
const TYPE_CNAME = 5
const TYPE_AAAA = 28
const NO_SUCH_NAME: DnsAnswer = { code: 3 }

/** A DNS server (RFC 1035) on one port of 127.0.0.1, over UDP and TCP. It computes every reply anew, with a TTL of 0. */
export async function startDnsServer(zone: DnsZone): Promise<DnsServer> {
  const asked: DnsQuestion[] = []
  const counts = new Map<string, number>()
  const timers = new Set<NodeJS.Timeout>()
  const waiting: { readonly name: string; readonly resolve: () => void }[] = []

  function handle(query: Buffer, over: 'udp' | 'tcp', send: (reply: Buffer) => void): void {
    const { name, typeNumber, end } = readQuestion(query)
    const type = typeNumber === TYPE_A ? 'A' : typeNumber === TYPE_AAAA ? 'AAAA' : 'other'
    const count = (counts.get(`${name} ${type}`) ?? 0) + 1
    counts.set(`${name} ${type}`, count)
    const question: DnsQuestion = { name, type, count, over }
    asked.push(question)
    for (const waiter of waiting.filter((one) => one.name === name)) waiter.resolve()
    const known = Object.hasOwn(zone, name) ? zone[name] : NO_SUCH_NAME
    const answer = typeof known === 'function' ? known(question) : (known ?? NO_SUCH_NAME)
    if (answer === null) return
    const reply = writeReply(query.subarray(0, end), typeNumber, answer, over)
    if (answer.delayMs === undefined) {
      send(reply)
      return
    }
    const timer = setTimeout(() => {
      timers.delete(timer)
      send(reply)
    }, answer.delayMs)
    timers.add(timer)
  }

  const { udp, tcp, port } = await bindBoth()
  udp.on('message', (query, sender) => handle(query, 'udp', (reply) => udp.send(reply, sender.port, sender.address)))
  const connections = new Set<Socket>()
  tcp.on('connection', (socket) => {
    connections.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => connections.delete(socket))
    let received = Buffer.alloc(0)
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0)
        handle(received.subarray(2, end), 'tcp', (reply) => socket.write(Buffer.concat([uint16(reply.length), reply])))
        received = received.subarray(end)
      }
    })
  })

  return {
    servers: [`127.0.0.1:${port}`],
    asked,
    nextQuestion: (name) => new Promise((resolve) => waiting.push({ name, resolve })),
    close: async () => {
      for (const timer of timers) clearTimeout(timer)
      for (const socket of connections) socket.destroy()
      await Promise.all([new Promise((closed) => tcp.close(closed)), new Promise<void>((closed) => udp.close(closed))])
    },
  }
}

async function bindBoth() {
  for (;;) {
    const tcp = createServer().listen(0, '127.0.0.1')
    await once(tcp, 'listening')
    const { port } = tcp.address() as { readonly port: number }
    const udp = createSocket('udp4')
    try {
      udp.bind(port, '127.0.0.1')
      await once(udp, 'listening')
      return { udp, tcp, port }
    } catch {
      // The port is taken for UDP.
      udp.close()
      await new Promise((closed) => tcp.close(closed))
    }
  }
}

function readQuestion(query: Buffer): { readonly name: string; readonly typeNumber: number; readonly end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), typeNumber: query.readUInt16BE(at + 1), end: at + 5 }
}

function writeReply(queryWithQuestion: Buffer, type: number, answer: DnsAnswer, over: 'udp' | 'tcp'): Buffer {
  const asked = queryWithQuestion.subarray(12, -4)
  const owners = [asked, ...(answer.aliases ?? []).map(nameBytes)]
  const aliases = owners.slice(1).map((name, index) => record(owners[index] ?? asked, TYPE_CNAME, name))
  const owner = owners.at(-1) ?? asked
  const data = answer.raw ?? (answer.addresses ?? []).map(addressBytes)
  const size = type === TYPE_A ? 4 : type === TYPE_AAAA ? 16 : 0
  const own = data
    .filter((bytes) => answer.raw !== undefined || bytes.length === size)
    .map((bytes) => record(owner, type, bytes))
  const isTruncated = over === 'udp' && answer.truncatedTo !== undefined
  const records = [...aliases, ...(isTruncated ? own.slice(0, answer.truncatedTo) : own)]
  const head = Buffer.from(queryWithQuestion)
  // QR, RD, RA; TC if it is truncated.
  head.writeUInt16BE(0x8180 | (isTruncated ? 0x0200 : 0) | (answer.code ?? 0), 2)
  head.writeUInt16BE(records.length, 6)
  head.writeUInt32BE(0, 8)
  return Buffer.concat([head, ...records])
}

function record(owner: Buffer, type: number, data: Buffer): Buffer {
  // Class IN, TTL 0.
  return Buffer.concat([owner, uint16(type), uint16(1), Buffer.alloc(4), uint16(data.length), data])
}

function nameBytes(name: string): Buffer {
  const labels = name
    .split('.')
    .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')]))
  return Buffer.concat([...labels, Buffer.alloc(1)])
}

function addressBytes(address: string): Buffer {
  if (!address.includes(':')) return Buffer.from(address.split('.').map(Number))
  // The URL parser turns every spelling into groups, at most one of their runs compressed.
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array<string>(8 - before.length - after.length).fill('0')
  return Buffer.concat([...before, ...zeros, ...after].map((group) => uint16(Number.parseInt(group, 16))))
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}
