import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { floors, type Measurement, measurements } from '../bench/src/plan.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

test('npm run bench: measures everything, and no call failed', { timeout: 300_000 }, async () => {
  const args = ['run', '--silent', 'bench', '--', '--quick', '--at', '16']
  const bench = spawn('npm', args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, progress, [code]] = await Promise.all([text(bench.stdout), text(bench.stderr), once(bench, 'exit')])
  const rows = [...out.matchAll(/^\| ([a-z ]+?) +\| +16 \| +(\d+) \| +([\d.]+|-) \| +[\d.]+ \| +[\d.]+ \| +(\d+) \|/gm)]
  assert.deepEqual(
    rows.map(([, measurement]) => measurement),
    measurements,
    out,
  )
  for (const [row, measurement, perSecond, ofFloor, errors] of rows) {
    assert.ok(Number(perSecond) > 0, row)
    assert.equal(errors, '0', out)
    if (floors[measurement as Measurement] !== undefined) assert.ok(Number(ofFloor) > 0, row)
  }
  assert.doesNotMatch(out, /ERROR/)
  assert.equal(code, 0, progress)
})
