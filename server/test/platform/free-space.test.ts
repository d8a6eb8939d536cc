import assert from 'node:assert/strict'
import { statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { watchFreeSpace } from '../../src/platform/free-space.ts'
import { createLog } from '../../src/platform/log.ts'
import { eventually } from '../eventually.ts'
import { startTestApp } from '../harness.ts'

function collectLines() {
  const lines: { level: string; msg: string; free_bytes?: number }[] = []
  const log = createLog('info', false, { write: (line) => void lines.push(JSON.parse(line)) })
  return { lines, log }
}

test('each crossing of the least free space is one line, and hovering around it is none', async () => {
  const { lines, log } = collectLines()
  let free = 2_000
  const watch = watchFreeSpace('/data', 1_000, log, async () => ({ bavail: free / 4, bsize: 4 }))
  const at = async (bytes: number) => {
    free = bytes
    await watch.drain()
    assert.equal(watch.found()?.freeBytes, bytes)
    return [lines.splice(0).map(({ level, free_bytes }) => `${level} ${free_bytes}`), watch.found()?.isLow]
  }
  assert.deepEqual(await at(1_000), [[], false])
  assert.deepEqual(await at(996), [['warn 996'], true])
  assert.deepEqual(await at(400), [[], true])
  assert.deepEqual(await at(1_040), [[], true])
  assert.deepEqual(await at(1_100), [['info 1100'], false])
  assert.deepEqual(await at(1_040), [[], false])
  assert.deepEqual(await at(0), [['warn 0'], true])
})

test('the space of a real folder is what the system says', async () => {
  const { log } = collectLines()
  const watch = watchFreeSpace(tmpdir(), 0, log)
  await watch.drain()
  const { blocks, bsize } = await statfs(tmpdir())
  const { freeBytes = -1, isLow } = watch.found() ?? {}
  assert.ok(freeBytes >= 0 && freeBytes <= blocks * bsize, `${freeBytes}`)
  assert.equal(isLow, false)
})

test('beside an embedded database: a warning, and health says how much is left and goes on being healthy', async (c) => {
  const { lines, log } = collectLines()
  const space = { dataDir: '/srv/hitl', readSpace: async () => ({ bavail: 1_023, bsize: 1_048_576 }) }
  const t = await startTestApp({ log, space, workers: true })
  c.after(() => t.stop())
  const body = await eventually('health says it', async () => {
    const reply = await t.call('GET', '/health')
    assert.equal(reply.status, 200)
    return reply.body.data_dir !== undefined && reply.body
  })
  assert.deepEqual(body.data_dir, { free_bytes: 1_023 * 1_048_576, is_low: true })
  const said = lines.filter(({ msg }) => msg.includes('the disk of the data folder is nearly full'))
  assert.deepEqual(
    said.map(({ level }) => level),
    ['warn'],
  )
})
