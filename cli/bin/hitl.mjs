#!/usr/bin/env node
// The `hitl` command. Plain JavaScript, because it runs under whatever Node the caller has. In a checkout it then hands over to
// the pinned Node that the service needs (docs/decisions/0001-pinned-node-from-npm.md).
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const neededMajor = 24
const here = fileURLToPath(new URL('..', import.meta.url))
const root = join(here, '..')
const setup = join(root, 'scripts', 'setup.mjs')

// In a fresh clone, do what `npm start` does first. Its output goes to standard error, because standard output is for the result.
if (existsSync(setup) && !existsSync(join(root, 'node_modules', '.package-lock.json'))) {
  const { status } = spawnSync(process.execPath, [setup], { stdio: ['inherit', 2, 2] })
  if (status !== 0) process.exit(1)
}

if (Number.parseInt(process.versions.node, 10) >= neededMajor) {
  // Prefer the source if it is there: a build beside it may be older.
  const source = join(here, 'src', 'main.ts')
  const { main } = existsSync(source) ? await import('../src/main.ts') : await import('../dist/main.js')
  process.exitCode = await main(process.argv.slice(2))
} else handOver()

function handOver() {
  const name = process.platform === 'win32' ? 'node.exe' : 'node'
  const { platform, arch } = process
  const system = platform === 'win32' ? 'win' : platform
  const pinned = [`node-${system}-${arch}`, `node-bin-${system}-${arch}`]
    .map((folder) => join(root, 'node_modules', folder, 'bin', name))
    .find((path) => existsSync(path))
  if (pinned === undefined || process.env.HITL_HANDED_OVER) {
    process.stderr.write(
      `hitl needs Node ${neededMajor} or later, and this is ${process.version}: https://nodejs.org\n`,
    )
    process.exit(1)
  }
  const env = { ...process.env, HITL_HANDED_OVER: '1' }
  const child = spawn(pinned, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env,
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}
