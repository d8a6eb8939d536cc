import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { settings } from '../src/config.ts'

// Needs no container engine: it only compares these files with the repository.
const root = join(import.meta.dirname, '../..')
const read = (name: string): string => readFileSync(join(root, name), 'utf8')

/** The sources of COPY instructions that come from the repository. */
function copied(): readonly string[] {
  const lines = read('Dockerfile')
    .split('\n')
    .filter((line) => /^COPY (?!--from)/.test(line))
  return lines.flatMap((line) => line.split(/\s+/).slice(1, -1))
}

test('everything that the Dockerfile copies exists and is not excluded by .dockerignore', () => {
  const allowed = read('.dockerignore')
    .split('\n')
    .filter((line) => line.startsWith('!'))
    .map((line) => line.slice(1))
  assert.ok(copied().length >= 8)
  for (const source of copied()) {
    assert.ok(existsSync(join(root, source)), `${source} does not exist`)
    assert.ok(allowed.includes(source), `${source} is not let through by .dockerignore`)
  }
})

test('the image starts what npm start starts, with the same flags', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const command = /^CMD (\[.*\])$/m.exec(read('Dockerfile'))?.[1]
  assert.ok(command)
  assert.equal((JSON.parse(command) as string[]).join(' '), scripts.start)
})

test('the image runs as an unprivileged user, uses /readyz as its health check, and stores data in a volume', () => {
  const dockerfile = read('Dockerfile')
  assert.match(dockerfile, /^USER node$/m)
  assert.match(dockerfile, /^HEALTHCHECK [\s\S]*?\/readyz/m)
  assert.match(dockerfile, /^VOLUME \/data$/m)
  assert.match(dockerfile, /DATA_DIR=\/data/)
  assert.ok(dockerfile.indexOf('USER node') < dockerfile.indexOf('CMD ['))
})

test('compose.yaml sets only settings that exist, and gives no secret a value', () => {
  const compose = read('compose.yaml')
  const service = compose.slice(compose.indexOf('  hitl:'), compose.indexOf('\n  db:'))
  const names = [...service.matchAll(/^ {6}([A-Z_]+):/gm)].map((match) => match[1] ?? '')
  assert.ok(names.includes('SECRET_KEY') && names.includes('DATABASE_URL'))
  for (const name of names) assert.ok(name in settings, `${name} is no setting`)
  assert.ok(names.includes('DATABASE_INSECURE'), 'its database has no TLS, and production starts on it only when told')
  assert.match(compose, /SECRET_KEY: \$\{SECRET_KEY:\?/)
  assert.match(compose, /POSTGRES_PASSWORD: \$\{POSTGRES_PASSWORD:\?/)
  assert.match(compose, /image: postgres:1[6-8]/)
})
