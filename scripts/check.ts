// Everything that CI checks, cheapest first: `npm run check`. Stops at the first step that fails. `npm run check:deep` makes
// 10 000 random histories of requests instead of 150 (server/test/consultations/model.test.ts), which takes a quarter of an hour,
// and 1 000 races of each pair of acts instead of 40 (races.test.ts).
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const bin = (name: string): string => join(root, 'node_modules/.bin', name)

const steps: readonly (readonly [string, string, readonly string[]])[] = [
  ['format and lint', bin('biome'), ['ci', '--error-on-warnings', '.']],
  ['types', bin('tsc'), ['-p', 'tsconfig.json']],
  ['types of the inbox', bin('tsc'), ['-p', 'web/tsconfig.json']],
  ['size of the inbox', process.execPath, ['scripts/web-size.ts']],
  [
    'layout rules',
    bin('depcruise'),
    [
      '--config',
      '.dependency-cruiser.cjs',
      'server/src',
      'server/test',
      'web/src',
      'web/test',
      'bench/src',
      'cli/src',
      'cli/test',
      'e2e',
      'scripts',
    ],
  ],
  ['generated files: openapi.json', process.execPath, ['scripts/openapi.ts', '--check']],
  ['generated files: schema.gen.ts of the inbox', process.execPath, ['scripts/web-types.ts', '--check']],
  ['generated files: docs/events.md', process.execPath, ['scripts/event-kinds.ts', '--check']],
  ['generated files: schema.gen.ts', process.execPath, ['scripts/schema-types.ts', '--check']],
  ['bill of materials', process.execPath, ['scripts/bill-of-materials.ts']],
  ['known vulnerabilities', process.execPath, ['scripts/vulnerabilities.ts']],
  ['tests', 'npm', ['test']],
]

const deep = { HITL_MODEL_RUNS: '10000', HITL_RACES: '1000' }
const env = process.argv.includes('--deep') ? { ...process.env, ...deep } : process.env

for (const [name, command, args] of steps) {
  const startedAt = performance.now()
  process.stdout.write(`\n== ${name}\n`)
  const { status } = spawnSync(command, args, { cwd: root, env, stdio: 'inherit', shell: process.platform === 'win32' })
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1)
  if (status !== 0) {
    process.stdout.write(`\n== ${name}: failed after ${seconds} s\n`)
    process.exit(status ?? 1)
  }
  process.stdout.write(`== ${name}: ok in ${seconds} s\n`)
}
