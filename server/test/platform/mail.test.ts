import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { type ConfigError, loadConfig } from '../../src/config.ts'
import { createLog } from '../../src/platform/log.ts'
import { createMail, type Email, type Mail, type MailFailure, type MailSettings } from '../../src/platform/mail.ts'
import { isMailable, type Relay, readMailbox, readSmtpUrl } from '../../src/platform/smtp-settings.ts'
import { createAuthority, selfSigned } from '../certificates.ts'
import { type MailRelay, startMailRelay } from './mail-relay.ts'

const authority = createAuthority()
const letter: Email = { to: 'grace@example.com', subject: 'Hello', text: 'One\nTwo\n' }
const login = { user: 'hitl', password: 'p@ss word/ü' }
const silent = createLog('silent', false)

const open: { close(): Promise<unknown> }[] = []
after(async () => {
  await Promise.all(open.map((one) => one.close()))
})
const keep = <T extends { close(): Promise<unknown> }>(one: T): T => {
  open.push(one)
  return one
}
const relayAt = (port: number, more: Partial<Relay> = {}): Relay => ({
  host: 'localhost',
  port,
  isTls: false,
  isLoopback: false,
  login: null,
  ...more,
})
const mailTo = (relay: Relay, more: Partial<MailSettings> = {}): Mail =>
  keep(
    createMail({
      relay,
      from: { name: 'HITL', address: 'hitl@example.com' },
      log: silent,
      timeoutMs: 5_000,
      ...more,
    }),
  )
const failureOf = (sending: Promise<void>): Promise<MailFailure> =>
  sending.then(
    () => assert.fail('the letter was sent'),
    (error: MailFailure) => error,
  )

describe('over STARTTLS', () => {
  let relay: MailRelay
  before(async () => {
    relay = keep(await startMailRelay({ certificate: authority.issue(['localhost']), login }))
  })

  test('a mail arrives over an encrypted, authenticated connection, with one sender, one receiver and a mark that a program wrote it', async () => {
    await mailTo(relayAt(relay.port, { login }), { ca: authority.cert }).send(letter)
    const [taken] = await relay.waitFor(1)
    assert.ok(taken)
    assert.deepEqual(
      [taken.from, taken.to, taken.overTls, taken.user],
      ['hitl@example.com', ['grace@example.com'], true, 'hitl'],
    )
    assert.equal(taken.headers.get('from'), 'HITL <hitl@example.com>')
    assert.equal(taken.headers.get('to'), 'grace@example.com')
    assert.equal(taken.headers.get('subject'), 'Hello')
    assert.equal(taken.headers.get('auto-submitted'), 'auto-generated')
    assert.equal(taken.text.replaceAll('\r\n', '\n').trim(), 'One\nTwo')
  })

  test('a long link and characters of every script arrive intact', async () => {
    const link = `https://hitl.example.com/password/reset#${'Aa0-_'.repeat(40)}`
    const count = relay.letters.length
    await mailTo(relayAt(relay.port, { login }), { ca: authority.cert }).send({
      to: 'grace@example.com',
      subject: 'Grüße an 你好 😀',
      text: `Für Sie: 你好\n\n${link}\n`,
    })
    const taken = (await relay.waitFor(count + 1))[count]
    assert.ok(taken?.text.includes(link), taken?.text)
    assert.ok(taken?.text.includes('Für Sie: 你好'))
  })

  test('a certificate of an authority that nobody named is refused, and nothing is sent to the relay', async () => {
    const count = relay.letters.length
    const error = await failureOf(mailTo(relayAt(relay.port, { login })).send(letter))
    assert.equal(error.code, 'unreachable')
    assert.equal(relay.letters.length, count)
  })

  test('NODE_TLS_REJECT_UNAUTHORIZED=0 changes nothing', async () => {
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    try {
      assert.equal((await failureOf(mailTo(relayAt(relay.port, { login })).send(letter))).code, 'unreachable')
    } finally {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before
    }
  })

  test('a wrong password is refused once, without a second try', async () => {
    const connections = relay.connections
    const wrong = relayAt(relay.port, { login: { user: 'hitl', password: 'wrong' } })
    assert.equal((await failureOf(mailTo(wrong, { ca: authority.cert }).send(letter))).code, 'refused')
    assert.equal(relay.connections, connections + 1)
  })
})

for (const [what, certificate, ca] of [
  ['for another host', authority.issue(['mail.example.com']), authority.cert],
  ['that has expired', authority.issue(['localhost'], Date.now() - 1_000), authority.cert],
  ['that only itself vouches for', selfSigned(['localhost']), authority.cert],
] as const) {
  for (const tlsAtOnce of [false, true]) {
    test(`a certificate ${what} is refused over ${tlsAtOnce ? 'smtps' : 'STARTTLS'}`, async () => {
      const relay = keep(await startMailRelay({ certificate, tlsAtOnce }))
      const mail = mailTo(relayAt(relay.port, { isTls: tlsAtOnce }), { ca })
      assert.equal((await failureOf(mail.send(letter))).code, 'unreachable')
      assert.equal(relay.letters.length, 0)
    })
  }
}

test('smtps:// speaks TLS from the first byte', async () => {
  const relay = keep(await startMailRelay({ certificate: authority.issue(['localhost']), tlsAtOnce: true, login }))
  await mailTo(relayAt(relay.port, { isTls: true, login }), { ca: authority.cert }).send(letter)
  assert.equal((await relay.waitFor(1))[0]?.overTls, true)
})

describe('a relay without STARTTLS', () => {
  let relay: MailRelay
  before(async () => {
    relay = keep(await startMailRelay())
  })

  test('on another machine gets nothing, because a man in the middle could have hidden STARTTLS', async () => {
    assert.equal((await failureOf(mailTo(relayAt(relay.port)).send(letter))).code, 'refused')
    assert.equal(relay.letters.length, 0)
  })

  test('on this machine is accepted', async () => {
    await mailTo(relayAt(relay.port, { isLoopback: true })).send(letter)
    assert.equal((await relay.waitFor(1))[0]?.overTls, false)
  })

  test('that offers no authentication gets no mail from a sender with a password', async () => {
    const count = relay.letters.length
    await failureOf(mailTo(relayAt(relay.port, { isLoopback: true, login })).send(letter))
    assert.equal(relay.letters.length, count)
  })
})

describe('trouble', () => {
  let relay: MailRelay
  before(async () => {
    relay = keep(await startMailRelay())
  })
  const here = () => relayAt(relay.port, { isLoopback: true })

  test('"not now" (4yz) may be tried again, "no" (5yz) may not, and each is one attempt', async () => {
    const { connections } = relay
    relay.refuseNext(451, 550)
    assert.equal((await failureOf(mailTo(here()).send(letter))).code, 'unreachable')
    assert.equal((await failureOf(mailTo(here()).send(letter))).code, 'refused')
    assert.equal(relay.connections, connections + 2)
  })

  test('a silent relay is given up within the timeout', async () => {
    const { port, close } = await startSilent()
    keep({ close })
    const startedAt = performance.now()
    const mail = mailTo(relayAt(port, { isLoopback: true }), { timeoutMs: 200 })
    assert.equal((await failureOf(mail.send(letter))).code, 'unreachable')
    assert.ok(performance.now() - startedAt < 2_000)
  })

  test('a relay that trickles its reply is given up within the same timeout', async () => {
    const { port, close } = await startSilent((socket) => {
      const drip = setInterval(() => socket.write('220-x\r\n'), 20)
      socket.on('close', () => clearInterval(drip))
    })
    keep({ close })
    const startedAt = performance.now()
    const mail = mailTo(relayAt(port, { isLoopback: true }), { timeoutMs: 300 })
    assert.equal((await failureOf(mail.send(letter))).code, 'unreachable')
    assert.ok(performance.now() - startedAt < 3_000)
  })

  test('a stop gives up the mail under way, and sends nothing more', async () => {
    const { port, close } = await startSilent()
    keep({ close })
    const mail = mailTo(relayAt(port, { isLoopback: true }))
    const sending = [failureOf(mail.send(letter)), failureOf(mail.send(letter))]
    await mail.close()
    assert.deepEqual(
      (await Promise.all([...sending, failureOf(mail.send(letter))])).map(({ code }) => code),
      ['stopped', 'stopped', 'stopped'],
    )
  })

  test('no log line contains the mail, the address, the user, the password or the reply of the relay', async () => {
    const lines: string[] = []
    const log = createLog('trace', false, { write: (line: string) => void lines.push(line) })
    relay.refuseNext(451, 550)
    const link = 'https://hitl.example.com/password/reset#s3cr3t-t0ken'
    for (const _ of [451, 550]) {
      await failureOf(mailTo(here(), { log }).send({ ...letter, subject: 'subj3ct', text: link }))
    }
    const locked = keep(await startMailRelay({ certificate: authority.issue(['localhost']), login }))
    const wrong = relayAt(locked.port, { login: { user: 'us3r', password: 'pa55' } })
    await failureOf(mailTo(wrong, { log, ca: authority.cert }).send(letter))
    assert.equal(lines.length, 3, lines.join())
    assert.doesNotMatch(lines.join(), /s3cr3t|subj3ct|grace@|us3r|pa55|not now/)
  })
})

describe('what could forge a header or another receiver', () => {
  let relay: MailRelay
  let mail: Mail
  before(async () => {
    relay = keep(await startMailRelay())
    mail = mailTo(relayAt(relay.port, { isLoopback: true }))
  })

  for (const to of [
    'a@example.com\r\nBcc: evil@example.com',
    'a@example.com\nX: y',
    'a@example.com, evil@example.com',
    'a,evil@example.com',
    'evil@example.com;a@example.com',
    '"Ann" <a@example.com>',
    '<a@example.com>',
    'a@example.com>',
    '"a b"@example.com',
    'a(x)@example.com',
    'list:a@example.com',
    'a@example.com\u0000',
    'a\u2028b@example.com',
    'a@b@example.com',
    'a@',
    '@example.com',
    'a@sso.invalid',
    '',
    `${'a'.repeat(250)}@example.com`,
  ]) {
    test(`refused as an address: ${JSON.stringify(to).slice(0, 60)}`, async () => {
      assert.equal((await failureOf(mail.send({ ...letter, to }))).code, 'address')
      assert.equal(relay.connections, 0)
    })
  }

  test('line ends and control characters in a subject become blanks', async () => {
    const sly = mailTo(relayAt(relay.port, { isLoopback: true }))
    await sly.send({ ...letter, subject: 'Hi\r\nBcc: evil@example.com\r\n\r\nBody\u0000\u2028x' })
    const [taken] = await relay.waitFor(1)
    assert.equal(taken?.headers.has('bcc'), false)
    assert.deepEqual(taken?.to, ['grace@example.com'])
    assert.equal(taken?.headers.get('subject'), 'Hi Bcc: evil@example.com Body x')
  })

  test('a line with a single dot does not end the mail', async () => {
    await mail.send({ ...letter, text: 'before\n.\nMAIL FROM:<evil@example.com>\nafter' })
    const taken = (await relay.waitFor(2))[1]
    assert.match(taken?.text ?? '', /before\r?\n\.\r?\nMAIL FROM:<evil@example\.com>\r?\nafter/)
    assert.equal(relay.letters.length, 2)
  })

  test('ordinary addresses pass, including those in other scripts', () => {
    for (const address of ['a@b', 'first.last+tag@sub.example.com', "o'hara@example.com", 'grüße@bücher.example']) {
      assert.equal(isMailable(address), true, address)
    }
  })
})

describe('SMTP_URL', () => {
  test('names host, port, user and password', () => {
    assert.deepEqual(readSmtpUrl('smtp://mail.example.com'), {
      host: 'mail.example.com',
      port: 587,
      isTls: false,
      isLoopback: false,
      login: null,
    })
    assert.deepEqual(readSmtpUrl('smtps://us%40er:p%2Fw@mail.example.com:2465/'), {
      host: 'mail.example.com',
      port: 2465,
      isTls: true,
      isLoopback: false,
      login: { user: 'us@er', password: 'p/w' },
    })
  })

  for (const [host, isLoopback] of [
    ['localhost', true],
    ['127.0.0.1', true],
    ['[::1]', true],
    ['127.0.0.1.example.com', false],
    ['localhost.example.com', false],
    ['10.0.0.1', false],
  ] as const) {
    test(`${host} is ${isLoopback ? '' : 'not '}this machine`, () => {
      assert.equal(readSmtpUrl(`smtp://${host}:25`).isLoopback, isLoopback)
    })
  }

  for (const url of [
    'mail.example.com',
    'https://mail.example.com',
    'smtp://',
    'smtp://s3cret@mail.example.com',
    'smtp://:s3cret@mail.example.com',
    'smtp://user:s3cret@mail.example.com?tls.rejectUnauthorized=false',
    'smtps://user:s3cret@mail.example.com/path',
    'smtps://user:s3cret%zz@mail.example.com',
  ]) {
    test(`${url} is refused, and the reason does not repeat the password`, () => {
      assert.throws(
        () => readSmtpUrl(url),
        (error: Error) => !error.message.includes('s3cret'),
      )
    })
  }
})

test('the configuration: SMTP_URL needs MAIL_FROM, and no error repeats the password', () => {
  const mistakesOf = (environment: Readonly<Record<string, string>>): readonly string[] => {
    try {
      loadConfig(environment, '/nonexistent/.env')
      return []
    } catch (error) {
      return (error as ConfigError).mistakes
    }
  }
  const SMTP_URL = 'smtps://user:s3cret@mail.example.com'
  assert.match(mistakesOf({ SMTP_URL })[0] ?? '', /^MAIL_FROM is needed with SMTP_URL/)
  assert.deepEqual(mistakesOf({ SMTP_URL, MAIL_FROM: 'HITL <hitl@example.com>' }), [])
  const unreadable = mistakesOf({ SMTP_URL, MAIL_FROM: 'nobody' })
  assert.equal(unreadable.length, 1)
  assert.match(unreadable[0] ?? '', /^MAIL_FROM must be an address/)
  const several = mistakesOf({ SMTP_URL, PORT: 'x' })
  assert.deepEqual(several.map((mistake) => mistake.split(' ')[0]).sort(), ['MAIL_FROM', 'PORT'])
  const wrong = mistakesOf({ SMTP_URL: `${SMTP_URL}?x=y`, MAIL_FROM: 'hitl@example.com' })
  assert.match(wrong[0] ?? '', /^SMTP_URL must end with the host and port/)
  assert.ok(!wrong.join().includes('s3cret'))
  assert.match(mistakesOf({ SSO_ALLOW: '10.0.0.0/99' })[0] ?? '', /^SSO_ALLOW has an entry/)
})

test('MAIL_FROM: an address, or a name with one', () => {
  assert.deepEqual(readMailbox('hitl@example.com'), { name: '', address: 'hitl@example.com' })
  assert.deepEqual(readMailbox('HITL at Work <hitl@example.com>'), {
    name: 'HITL at Work',
    address: 'hitl@example.com',
  })
  for (const text of ['HITL', 'a@b <a@b', 'x <a@b>, y <c@d>', 'a\nb <a@b>', '<>', 'x <a b@c>']) {
    assert.throws(() => readMailbox(text), /must be an address/, text)
  }
})

async function startSilent(onConnection: (socket: Socket) => void = () => {}) {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onConnection(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    await new Promise((closed) => server.close(closed))
  }
  return { port: (server.address() as AddressInfo).port, close }
}
