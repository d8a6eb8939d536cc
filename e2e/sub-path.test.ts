import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { eventually } from '../server/test/eventually.ts'
import { freePort } from '../server/test/receivers.ts'
import { externalDatabase, type ServiceProcess, startService } from '../server/test/service-process.ts'
import { startBrowser } from './inbox/browser.ts'
import { journey } from './inbox/journey.ts'

/** A real nginx that serves the service below /hitl, and something else at the root of the same host. */
async function startProxy(folder: string, port: number, target: string): Promise<ChildProcess> {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const settings = `daemon off;
pid ${join(folder, 'nginx.pid')};
error_log stderr;
events {}
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${join(folder, name)};`).join('\n  ')}
  server {
    listen 127.0.0.1:${port};
    location / { return 418; }
    location /hitl { return 301 /hitl/; }
    location /hitl/ {
      proxy_pass ${target};
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }
}
`
  const path = join(folder, 'nginx.conf')
  await writeFile(path, settings)
  const proxy = spawn('nginx', ['-e', 'stderr', '-c', path], { stdio: 'ignore' })
  await once(proxy, 'spawn')
  return proxy
}

let browser: Browser
before(async () => {
  browser = await startBrowser()
})
after(() => browser?.close())

for (const [how, pathOfTarget] of [
  ['takes the path away', '/'],
  ['passes the path on', ''],
] as const) {
  describe(`behind nginx at /hitl, which ${how}`, () => {
    let folder: string
    let database: Awaited<ReturnType<typeof externalDatabase>>
    let service: ServiceProcess
    let proxy: ChildProcess
    let origin: string
    let url: string
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'hitl-proxy-'))
      database = await externalDatabase()
      const [port, publicPort] = [await freePort(), await freePort()]
      origin = `http://127.0.0.1:${publicPort}`
      url = `${origin}/hitl`
      proxy = await startProxy(folder, publicPort, `http://127.0.0.1:${port}${pathOfTarget}`)
      const environment = { ...database.environment, DATA_DIR: folder, PORT: String(port), PUBLIC_URL: url }
      service = startService({ cwd: folder, environment: { ...environment, TRUSTED_PROXIES: '127.0.0.1/32' } })
      await eventually('it is ready through the proxy', () =>
        fetch(`${url}/readyz`).then(
          (reply) => reply.ok,
          () => false,
        ),
      )
      await eventually('it has said so', () => service.stdout.includes('is listening.'))
    })
    after(async () => {
      await service?.end('SIGTERM')
      proxy?.kill('SIGTERM')
      await database?.drop()
      await rm(folder, { recursive: true, force: true })
    })

    const post = (address: string, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
      fetch(address, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      })

    test('the set-up link makes the first administrator, who signs in, stays signed in, makes an agent and decides what it asks', async () => {
      const [link = '', token = ''] = /(http:\S+\/setup)#(\S+)/.exec(service.stdout)?.slice(1) ?? []
      assert.equal(link, `${url}/setup`)
      const page = await (await fetch(link)).text()
      const path = /<meta name="public-path" content="([^"]+)"/.exec(page)?.[1] ?? ''
      const account = { email: 'first@example.com', password: 'correct horse battery' }
      const made = await post(new URL(`${path}api/v1/auth/register`, link).href, { ...account, invitation: token })
      assert.equal(made.status, 201, await made.text())

      const own = { origin, 'sec-fetch-site': 'same-origin' }
      const body = { username: account.email, password: account.password, session_cookie: true }
      const signedIn = await post(`${url}/api/v1/auth/login`, body, own)
      assert.equal(signedIn.status, 200)
      const cookie = signedIn.headers.get('set-cookie') ?? ''
      assert.match(cookie, /; Path=\/hitl;/)
      const renewed = await post(`${url}/api/v1/auth/refresh`, undefined, {
        ...own,
        cookie: cookie.split(';')[0] ?? '',
      })
      assert.equal(renewed.status, 200)
      const { access_token } = (await renewed.json()) as { access_token: string }
      const authorization = `Bearer ${access_token}`
      const agent = await post(`${url}/api/v1/agents`, { name: 'deployer' }, { authorization })
      assert.equal(agent.status, 201)
      const location = new URL(agent.headers.get('location') ?? '', origin)
      assert.equal((await fetch(location, { headers: { authorization } })).status, 200)
      const { id: agent_id } = (await agent.json()) as { id: string }
      const key = await post(`${url}/api/v1/api-keys`, { name: 'deploying', agent_id }, { authorization })
      const { key: apiKey } = (await key.json()) as { key: string }
      await journey(browser, url, account, apiKey)
    })

    for (const page of ['/', '/docs', '/docs/', '/docs/static/index.html', '/redoc', '/password/forgot']) {
      test(`all that ${page} loads and links to is there`, async () => {
        const reply = await fetch(`${url}${page}`)
        assert.equal(reply.status, 200)
        const html = await reply.text()
        const links = [...html.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, link = '']) => new URL(link, reply.url))
        for (const link of links.filter(({ protocol }) => protocol === 'http:')) {
          const there = await fetch(link)
          assert.equal(there.status, 200, link.href)
          await there.arrayBuffer()
        }
      })
    }

    test('the document names the place of the calls', async () => {
      const { servers } = (await (await fetch(`${url}/openapi.json`)).json()) as { servers: { url: string }[] }
      const base = new URL(servers[0]?.url ?? '', origin).href
      assert.equal((await fetch(`${base}/api/v1/health`)).status, 200)
      assert.equal((await fetch(`${origin}/api/v1/health`)).status, 418, 'another service is at the root')
    })
  })
}
