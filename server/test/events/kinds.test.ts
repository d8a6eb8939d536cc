import assert from 'node:assert/strict'
import { glob, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventKinds } from '../../src/facts/kinds.ts'

const source = join(import.meta.dirname, '../../src')

/** Composed where they are reported: `agent.${...}`, with the second half from a table. */
const composed: Readonly<Record<string, readonly string[]>> = {
  'identity/agents/switches.ts': ['agent', 'organization'],
  'identity/signing-keys/service.ts': ['signing_key'],
}

test('every kind of event is reported somewhere (the compiler rules out other kinds)', async () => {
  const reported = new Set<string>()
  for await (const file of glob('**/*.ts', { cwd: source })) {
    if (file === 'facts/kinds.ts') continue
    const text = await readFile(join(source, file), 'utf8')
    const words = [...text.matchAll(/'([a-z_]+)'/g)].map(([, word]) => word)
    for (const [, kind] of text.matchAll(/'([a-z_]+\.[a-z_]+)'/g)) reported.add(kind ?? '')
    for (const subject of composed[file] ?? []) for (const word of words) reported.add(`${subject}.${word}`)
  }
  assert.deepEqual(
    Object.keys(eventKinds).filter((kind) => !reported.has(kind)),
    [],
  )
})
