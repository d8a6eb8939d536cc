import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { commands } from '../src/commands.ts'
import { hitl, temporaryFolder } from './hitl-process.ts'

const run = promisify(execFile)
const source = join(import.meta.dirname, '..')
const folder = await temporaryFolder()
after(() => folder.remove())
/** As npm installs it: in some folder, with nothing beside it. */
const installed = join(folder.path, 'node_modules', '@hitl', 'cli')
const program = join(installed, 'bin', 'hitl.mjs')
const published = (args: readonly string[]) => hitl(args, { program, cwd: folder.path })

describe('the published package: built, without the service', () => {
  before(async () => {
    await mkdir(installed, { recursive: true })
    const compiler = join(source, '..', 'node_modules', 'typescript', 'bin', 'tsc')
    const out = join(installed, 'dist')
    await run(process.execPath, [compiler, '-p', join(source, 'tsconfig.build.json'), '--outDir', out])
    for (const name of ['bin', 'package.json']) {
      await cp(join(source, name), join(installed, name), { recursive: true })
    }
  })

  test('contains everything it needs and needs no other package', async () => {
    const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'))
    assert.deepEqual(manifest.files, ['bin', 'dist'])
    assert.deepEqual(manifest.bin, { hitl: 'bin/hitl.mjs' })
    assert.notEqual(manifest.private, true)
    for (const kind of ['dependencies', 'peerDependencies', 'optionalDependencies'])
      assert.equal(manifest[kind], undefined)
    assert.equal(manifest.scripts.postinstall ?? manifest.scripts.install, undefined)
  })

  test('says what it is and explains every command', async () => {
    assert.match((await published(['--version'])).stdout, /^hitl \d/)
    const unbuilt = await hitl(['--help'])
    assert.equal((await published(['--help'])).stdout, unbuilt.stdout)
    for (const { path } of commands) {
      const { code, stdout } = await published([...path.split(' '), '--help'])
      assert.equal(code, 0)
      assert.match(stdout, /^Examples$/m)
    }
  })

  test('commands that need the service: exit 1, and where to run them', async () => {
    for (const args of [['serve'], ['migrate'], ['config', 'check'], ['keys', 'rotate']]) {
      const { code, stderr } = await published(args)
      assert.equal(code, 1)
      assert.match(stderr, /needs the service itself, and this package does not contain it/)
      assert.match(stderr, /docker compose exec hitl hitl/)
    }
  })
})

test('the required Node version is the same everywhere', async () => {
  const text = await readFile(join(source, 'bin', 'hitl.mjs'), 'utf8')
  const { engines } = JSON.parse(await readFile(join(source, 'package.json'), 'utf8'))
  assert.equal(engines.node, `>=${/neededMajor = (\d+)/.exec(text)?.[1]}`)
  assert.match(text, /^#!\/usr\/bin\/env node\n/)
})
