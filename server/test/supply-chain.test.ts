import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'

const script = join(import.meta.dirname, '../../scripts/vulnerabilities.ts')

// npm caches advisories.
const cache = await mkdtemp(join(tmpdir(), 'hitl-npm-'))
after(() => rm(cache, { recursive: true, force: true }))

/** Runs the check against a registry that replies to audits with this and to everything else with 404. */
async function check(status: number, answer: unknown) {
  const registry = createServer((request, response) => {
    const isAudit = request.url === '/-/npm/v1/security/advisories/bulk'
    request.resume().on('end', () => {
      response.writeHead(isAudit ? status : 404, { 'content-type': 'application/json' })
      response.end(JSON.stringify(isAudit ? answer : {}))
    })
  })
  await once(registry.listen(0, '127.0.0.1'), 'listening')
  try {
    return await run((registry.address() as AddressInfo).port)
  } finally {
    registry.close()
  }
}

const run = (port: number): Promise<{ readonly code: number; readonly stdout: string }> => {
  const registry = `http://127.0.0.1:${port}/`
  const npm = { registry, cache, noproxy: '127.0.0.1', update_notifier: 'false' }
  const settings = Object.entries(npm).map(([name, value]) => [`npm_config_${name}`, value])
  const env = { ...process.env, ...Object.fromEntries(settings) }
  return new Promise((done) => {
    const child = execFile(process.execPath, [script], { env }, (_error, stdout) => {
      done({ code: child.exitCode ?? -1, stdout })
    })
  })
}
let advisories = 0
const advisory = (severity: string) => ({
  pg: [
    {
      id: ++advisories,
      url: 'https://example.com/1',
      title: 'it leaks',
      severity,
      vulnerable_versions: '<999',
      cwe: [],
    },
  ],
})

describe('the check for known vulnerabilities', () => {
  for (const severity of ['high', 'critical']) {
    test(`fails for a ${severity} one, and names it`, async () => {
      const { code, stdout } = await check(200, advisory(severity))
      assert.equal(code, 1, stdout)
      assert.match(stdout, new RegExp(`^${severity}: pg `, 'm'))
    })
  }
  test('passes if there is none or only a lesser one', async () => {
    assert.deepEqual(await check(200, {}), { code: 0, stdout: '0 high or critical, 0 in all\n' })
    const { code, stdout } = await check(200, advisory('moderate'))
    assert.equal(code, 0)
    assert.match(stdout, /^0 high or critical, [1-9]/)
  })
  test('reports that nothing was checked if the registry offers no audits or cannot be reached', async () => {
    const refused = await check(405, {})
    assert.equal(refused.code, 0)
    assert.match(refused.stdout, /^NOT CHECKED: the registry offers no audits/)
    // Port 9 is discard: nothing listens.
    const { code, stdout } = await run(9)
    assert.equal(code, 0)
    assert.match(stdout, /^NOT CHECKED: the registry cannot be reached/)
  })
  test('fails if a registry that offers audits does not reply', async () => {
    assert.equal((await check(500, {})).code, 1)
  })
})
