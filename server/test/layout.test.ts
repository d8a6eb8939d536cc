import assert from 'node:assert/strict'
import { glob, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'
import { cruise, type ICruiseResult, type IForbiddenRuleType } from 'dependency-cruiser'

const root = join(import.meta.dirname, '../..')
const require = createRequire(import.meta.url)
const { forbidden } = require('../../.dependency-cruiser.cjs') as { readonly forbidden: readonly IForbiddenRuleType[] }
const floors = require('../../floors.json') as Readonly<Record<string, readonly (readonly string[])[]>>

const placeOf = (name: string): string => (name === 'server' ? 'server/src' : name)

/** One breach of each rule that is not about floors: [from, what it imports]. */
const breaches: Readonly<Record<string, readonly [string, string]>> = {
  'no-circles': ['server/src/platform/one.ts', '../platform/other.ts'],
  'rules-are-pure': ['server/src/identity/teams/team.ts', './store.ts'],
  'schemas-are-shapes': ['server/src/identity/teams/schemas.ts', './store.ts'],
  'only-the-store-knows-sql': ['server/src/identity/teams/names.ts', 'kysely'],
  'the-web-server-knows-no-product': ['server/src/http/reports.ts', '../facts/other.ts'],
  'only-app-composes': ['server/src/platform/reads-config.ts', '../config.ts'],
  'commands-are-the-top': ['server/src/app.ts', './commands/serve.ts'],
  'the-command-line-needs-nothing': ['cli/src/main.ts', 'kysely'],
  'no-server-in-other-workspaces': ['bench/src/main.ts', '../../server/src/app.ts'],
  'no-web-in-other-workspaces': ['server/src/http/pages.ts', '../../../web/src/words/one.ts'],
  'source-needs-no-test': ['server/src/platform/tested.ts', '../../test/harness.ts'],
  resolvable: ['server/src/platform/lost.ts', './nowhere.ts'],
  'no-dev-dependency-in-source': ['server/src/platform/checked.ts', 'fast-check'],
  'no-orphans': ['server/src/platform/alone.ts', ''],
}

/** [from, to] of every import that the floors forbid, from above or from beside. */
function upwardArrows(): readonly { readonly rule: string; readonly from: string; readonly to: string }[] {
  const fileIn = (place: string, room: string, name: string): string =>
    /\.tsx?$/.test(room) ? `${place}/${room}` : `${place}/${room}/${name}.ts`
  return Object.entries(floors).flatMap(([name, storeys]) =>
    storeys.flatMap((rooms, storey) =>
      rooms.flatMap((room) => {
        const place = placeOf(name)
        const others = [...rooms.filter((other) => other !== room), ...storeys.slice(storey + 1).flat()]
        const [target] = others.slice(-1)
        if (target === undefined) return []
        const rule = `${place.replace('server/src', 'floors').replace('web/src', 'floors of web')}: ${room} reaches down only`
        return [{ rule, from: fileIn(place, room, 'planted-arrow'), to: fileIn(place, target, 'planted-target') }]
      }),
    ),
  )
}

async function violationsIn(files: ReadonlyMap<string, string>): Promise<ReadonlySet<string>> {
  const folder = await mkdtemp(join(tmpdir(), 'hitl-layout-'))
  try {
    for (const [path, text] of files) {
      await mkdir(dirname(join(folder, path)), { recursive: true })
      await writeFile(join(folder, path), text)
    }
    for (const name of ['kysely', 'fast-check']) {
      await mkdir(join(folder, 'node_modules', name), { recursive: true })
      await writeFile(join(folder, 'node_modules', name, 'package.json'), JSON.stringify({ name, main: 'index.js' }))
      await writeFile(join(folder, 'node_modules', name, 'index.js'), '')
    }
    const manifest = { name: 'planted', dependencies: { kysely: '1' }, devDependencies: { 'fast-check': '1' } }
    await writeFile(join(folder, 'package.json'), JSON.stringify(manifest))
    const { output } = await cruise(
      ['server', 'web', 'bench', 'cli'].filter((top) => [...files.keys()].some((path) => path.startsWith(`${top}/`))),
      {
        baseDir: folder,
        ruleSet: { forbidden: [...forbidden] },
        validate: true,
        tsPreCompilationDeps: true,
        doNotFollow: { path: 'node_modules' },
      },
    )
    return new Set((output as ICruiseResult).summary.violations.map(({ rule }) => rule.name))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

test('every floor catches an import that goes up or sideways', async () => {
  const arrows = upwardArrows()
  assert.ok(arrows.length > 40)
  const files = new Map<string, string>()
  for (const { from, to } of arrows) {
    const specifier = relative(dirname(from), to)
    const line = `export {} from '${specifier.startsWith('.') ? specifier : `./${specifier}`}'\n`
    files.set(from, (files.get(from) ?? '') + line)
    if (!files.has(to)) files.set(to, 'export {}\n')
  }
  const found = await violationsIn(files)
  assert.deepEqual(
    arrows.map(({ rule }) => rule).filter((rule) => !found.has(rule)),
    [],
  )
})

test('every other layout rule catches a breach', async () => {
  const others = forbidden.map(({ name }) => name ?? '').filter((name) => !name.startsWith('floors'))
  assert.deepEqual(
    others.filter((name) => breaches[name] === undefined),
    [],
  )
  const files = new Map<string, string>([
    ['server/src/platform/other.ts', "export {} from './one.ts'\n"],
    ['server/src/facts/other.ts', 'export {}\n'],
    ['server/src/identity/teams/store.ts', 'export {}\n'],
    ['server/src/config.ts', 'export {}\n'],
    ['server/src/commands/serve.ts', 'export {}\n'],
    ['server/test/harness.ts', 'export {}\n'],
    ['web/src/words/one.ts', 'export {}\n'],
  ])
  for (const [from, specifier] of Object.values(breaches)) {
    files.set(from, specifier === '' ? 'export {}\n' : `export {} from '${specifier}'\n`)
  }
  const found = await violationsIn(files)
  assert.deepEqual(
    others.filter((name) => !found.has(name)),
    [],
  )
})

test('every folder and file in a place with floors is on one of them', async () => {
  for (const [name, storeys] of Object.entries(floors)) {
    const known = new Set(storeys.flat())
    const entries = await readdir(join(root, placeOf(name)), { withFileTypes: true })
    const rooms = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
    assert.deepEqual(
      rooms.filter((room) => !known.has(room)),
      [],
      `${placeOf(name)} has rooms without a floor`,
    )
  }
})

test('every refusal of the API is defined with refusal(), so that its code is in the document', async () => {
  const byHand: string[] = []
  for await (const path of glob('server/src/**/*.ts', { cwd: root })) {
    // A command may reword a refusal for its reader, because it is not an HTTP reply.
    if (path.endsWith('platform/problem.ts') || path.startsWith('server/src/commands/')) continue
    if ((await readFile(join(root, path), 'utf8')).includes('new Problem(')) byHand.push(path)
  }
  assert.deepEqual(byHand, [])
})
