// Everything that CI checks: `npm run check`. The steps that only read run side by side, and the tests once all of them are ok.
// `npm run check:deep` makes 10 000 random histories of requests instead of 150 (server/test/consultations/model.test.ts), which
// takes a quarter of an hour, and 1 000 races of each pair of acts instead of 40 (races.test.ts).
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

const root = join(import.meta.dirname, '..')
const bin = (name: string): string => join(root, 'node_modules/.bin', name)
/** TypeScript 7; node_modules/.bin has 6 (docs/decisions/0002). */
const typescript = join(root, 'node_modules/typescript-7/bin/tsc')

type Step = readonly [name: string, command: string, args: readonly string[]]

/** The longest first, so that the others run beside it. */
const reading: readonly Step[] = [
  ['format and lint', bin('biome'), ['ci', '--error-on-warnings', '.']],
  ['types', process.execPath, [typescript, '-p', 'tsconfig.json']],
  ['types of the inbox', process.execPath, [typescript, '-p', 'web/tsconfig.json']],
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
]

const deep = { HITL_MODEL_RUNS: '10000', HITL_RACES: '1000' }
const env = process.argv.includes('--deep') ? { ...process.env, ...deep } : process.env

let failed = false

/** What a step prints is shown when it ends, or as it comes. */
async function run([name, command, args]: Step, shown: 'at its end' | 'as it comes'): Promise<void> {
  const startedAt = performance.now()
  const heading = `\n== ${name}\n`
  const stdio = shown === 'as it comes' ? 'inherit' : 'pipe'
  if (shown === 'as it comes') process.stdout.write(heading)
  const child = spawn(command, args, {
    cwd: root,
    env,
    stdio: ['ignore', stdio, stdio],
    shell: process.platform === 'win32',
  })
  const ended = once(child, 'close')
  const printed = await Promise.all([child.stdout, child.stderr].map((stream) => (stream === null ? '' : text(stream))))
  const [status] = await ended
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1)
  if (shown === 'at its end') process.stdout.write(heading + printed.join(''))
  process.stdout.write(`== ${name}: ${status === 0 ? 'ok in' : 'failed after'} ${seconds} s\n`)
  if (status !== 0) failed = true
}

const waiting = [...reading]
const lane = async (): Promise<void> => {
  for (let step = waiting.shift(); step !== undefined && !failed; step = waiting.shift()) await run(step, 'at its end')
}
await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, lane))
if (!failed) await run(['tests', 'npm', ['test']], 'as it comes')
process.exitCode = failed ? 1 : 0
