import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { freePort } from '../server/test/receivers.ts'
import { externalDatabase, type ServiceProcess, startService, untilReady } from '../server/test/service-process.ts'

/**
 * Makes clients in four languages from openapi.json with the generators that people use, compiles them, and plays sign-in, create,
 * list, respond, certificate and a refusal with each against a real service. What the tools download stays in their own caches.
 */

// Without blanks: the generator for Java does not resolve references in a document whose path has one.
const folder = await mkdtemp(join(tmpdir(), 'hitl-clients-'))
const openapi = join(folder, 'openapi.json')
await cp(join(import.meta.dirname, '../openapi.json'), openapi)
const database = await externalDatabase()
let service: ServiceProcess
let played: Readonly<Record<string, string>>

before(async () => {
  const environment = { ...database.environment, DATA_DIR: join(folder, 'data'), PORT: String(await freePort()) }
  const seeded = startService({ cwd: folder, environment, command: 'seed' })
  assert.equal(await seeded.exited, 0, seeded.stderr)
  const key = /hitl_\S{20,}/.exec(seeded.stdout)?.[0]
  assert.ok(key, seeded.stdout)
  service = startService({ cwd: folder, environment })
  const url = `http://127.0.0.1:${environment.PORT}`
  await untilReady(service, url)
  played = { HITL_URL: url, HITL_KEY: key, HITL_EMAIL: 'reviewer@example.com', HITL_PASSWORD: 'password123' }
})
after(async () => {
  await service?.end('SIGTERM')
  await database.drop()
  await rm(folder, { recursive: true, force: true })
})

/** What has to be installed, for the sentence that says so. */
const needed: Readonly<Record<string, string>> = {
  npm: 'npm, which comes with Node',
  python3: 'Python 3.11 or later with pip and venv',
  go: 'Go 1.26 or later',
  mvn: 'Maven and a JDK of 17 or later',
}

/** Runs a command in the folder and returns what it printed. */
async function run(cwd: string, command: string, ...args: readonly string[]): Promise<string> {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...played, MAVEN_OPTS: '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const code = await new Promise<number | string | null>((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      const missing = `This test needs ${needed[command] ?? command} on this machine. Install it, then run the test again.`
      reject(error.code === 'ENOENT' ? new Error(missing) : error)
    })
    child.once('close', (exit, signal) => resolve(exit ?? signal))
  })
  assert.equal(
    code,
    0,
    `${command} ${args.join(' ')} ended with ${code}\n${stdout.slice(-4_000)}\n${stderr.slice(-4_000)}`,
  )
  return stdout
}

/** A copy of the client's folder: generated code stays out of the repository. */
async function workplace(language: string): Promise<string> {
  const place = join(folder, language)
  await cp(join(import.meta.dirname, 'clients', language), place, { recursive: true })
  return place
}

const languages: Readonly<Record<string, (place: string) => Promise<string>>> = {
  TypeScript: async (place) => {
    await run(place, 'npm', 'ci', '--no-audit', '--no-fund', '--prefer-offline')
    await run(place, 'npx', '--no-install', 'openapi-typescript', openapi, '--output', 'hitl.d.ts')
    await run(place, 'npx', '--no-install', 'tsc', '--project', '.')
    return run(place, process.execPath, 'play.js')
  },
  Python: async (place) => {
    await run(place, 'python3', '-m', 'venv', 'venv')
    const python = join(place, 'venv', 'bin', 'python')
    await run(place, python, '-m', 'pip', 'install', '--quiet', '--requirement', 'requirements.txt')
    const generator = join(place, 'venv', 'bin', 'openapi-python-client')
    await run(place, generator, 'generate', '--path', openapi, '--meta', 'none', '--output-path', 'hitl')
    await run(place, python, '-m', 'compileall', '-q', 'hitl')
    return run(place, python, 'play.py')
  },
  Go: async (place) => {
    await mkdir(join(place, 'hitl'))
    const generated = ['-generate', 'types,client', '-package', 'hitl', '-o', 'hitl/client.go']
    await run(place, 'go', 'tool', 'oapi-codegen', ...generated, openapi)
    await run(place, 'go', 'build', '-trimpath', '-o', 'play', '.')
    return run(place, join(place, 'play'))
  },
  // Maven runs the generator and the client within itself, each once: code that is compiled to the end is not worth it.
  Java: async (place) => run(place, 'mvn', '--batch-mode', '--quiet', `-Ddocument=${openapi}`, 'compile', 'exec:java'),
}

describe('a client that is made from openapi.json signs in, asks, lists, decides and proves, in', {
  concurrency: 2,
}, () => {
  for (const [language, play] of Object.entries(languages)) {
    test(language, async (context) => {
      const began = performance.now()
      const printed = await play(await workplace(language.toLowerCase()))
      context.diagnostic(`${Math.round((performance.now() - began) / 1_000)} s`)
      const { id, certificate, refused, ...rest } = JSON.parse(/^\{.*\}$/m.exec(printed)?.[0] ?? '')
      assert.match(id, /^[0-9a-f-]{36}$/)
      assert.deepEqual(rest, { listed: true, decision: 'approve', comment: `from ${language}` })
      assert.equal(certificate.split('.').length, 3, certificate)
      assert.deepEqual([refused.status, refused.code], [409, 'consultation.already_responded'])
      assert.match(refused.detail, /^Request is already responded, cannot respond/)
    })
  }
})
