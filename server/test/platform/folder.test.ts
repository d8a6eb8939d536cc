import assert from 'node:assert/strict'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { dataFolderError, makeFolder } from '../../src/platform/folder.ts'

const base = await mkdtemp(join(tmpdir(), 'hitl-folder-'))
after(() => rm(base, { recursive: true, force: true }))

describe('makeFolder', () => {
  test('makes what is missing, and leaves what is there', async () => {
    const path = join(base, 'a', 'b', 'c')
    await makeFolder(path, 0o700)
    await makeFolder(path)
    assert.equal((await stat(path)).mode & 0o777, 0o700)
  })

  test('at once refuses a place below a file, and a file', async () => {
    const file = join(base, 'file')
    await writeFile(file, '')
    await assert.rejects(makeFolder(file), { code: 'EEXIST' })
    await assert.rejects(makeFolder(join(file, 'below', 'it')), { code: 'ENOTDIR' })
  })

  test('at once refuses a file system that takes no folders', { skip: process.platform !== 'linux' }, async () => {
    await assert.rejects(makeFolder('/proc/hitl'), { code: 'ENOENT' })
    await assert.rejects(makeFolder('/proc/hitl/data'), { code: 'ENOENT' })
  })
})

for (const [text, sentence] of [
  ['ENOSPC: no space left on device, write', /^The disk that holds \/data is full\. Free some space/],
  ['EROFS: read-only file system, open', /^The data folder \/data cannot be used by this account\. Start as/],
  ['EACCES: permission denied, mkdir', /^The data folder \/data cannot be used by this account\. Start as/],
  ["ENOENT: no such file or directory, mkdir '/proc/x'", /^The data folder \/data cannot be used/],
  ['ENOTDIR: not a directory, mkdir', /^The data folder \/data is not a folder\. Set DATA_DIR/],
  ['something else', /^something else$/],
] as const) {
  test(`what to do about: ${text}`, () => assert.match(dataFolderError(new Error(text), '/data').message, sentence))
}
