import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

test('npm run bench: starts the service, measures, and ends with a table', { timeout: 180_000 }, async () => {
  const args = ['run', '--silent', 'bench', '--', '--quick', '--only', 'lifecycles', '--at', '16']
  const bench = spawn('npm', args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, errors, [code]] = await Promise.all([text(bench.stdout), text(bench.stderr), once(bench, 'exit')])
  assert.equal(code, 0, errors)
  const [, perSecond, ofFloor, , , failed] =
    /^\| lifecycles +\| +16 \| +(\d+) \| +([\d.]+) \| +([\d.]+) \| +([\d.]+) \| +(\d+) \|/m.exec(out) ?? []
  assert.ok(Number(perSecond) > 0, out)
  assert.ok(Number(ofFloor) > 0, out)
  assert.equal(failed, '0', out)
})
