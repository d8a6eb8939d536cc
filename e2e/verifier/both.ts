import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { verifyExport } from '../../cli/src/audit-verify.ts'
import type { Case } from './case.ts'

export interface Verdict {
  readonly code: number
  readonly findings: readonly string[]
}

export interface Compared {
  readonly name: string
  readonly expected: number | undefined
  readonly ours: Verdict
  readonly python: Verdict
}

const verifier = join(import.meta.dirname, 'verify.py')

/** Both verdicts on each case. Python judges all of them in one process. */
export async function judge(cases: Iterable<Case>): Promise<readonly Compared[]> {
  const folder = await mkdtemp(join(tmpdir(), 'hitl verdicts '))
  try {
    const places = new Map<string | Buffer, string>()
    const place = async (content: string | Buffer): Promise<string> => {
      const known = places.get(content)
      if (known !== undefined) return known
      const path = join(folder, String(places.size))
      places.set(content, path)
      await writeFile(path, content)
      return path
    }
    const jobs: string[] = []
    const judged: Omit<Compared, 'python'>[] = []
    for (const { name, file, keys, heads, expected } of cases) {
      const job = {
        file: await place(file),
        keys: await place(keys),
        heads: heads === undefined ? null : await place(heads),
      }
      jobs.push(JSON.stringify(job))
      judged.push({
        name,
        expected,
        ours: await ourVerdict({ name, file, keys, ...(heads === undefined ? {} : { heads }) }),
      })
    }
    const output = await python(['--many'], jobs.join('\n'))
    const results = output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    return judged.map((one, at) => ({
      ...one,
      python: {
        code: results[at].exit_code,
        findings: results[at].findings.map((finding: { code: string }) => finding.code),
      },
    }))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** What `hitl audit verify` exits with and reports; the command itself is run in another test. */
async function ourVerdict({ file, keys, heads }: Case): Promise<Verdict> {
  let publicKeys: Parameters<typeof verifyExport>[1]['publicKeys']
  try {
    publicKeys = JSON.parse(keys)
    if (!Array.isArray(publicKeys.keys)) return { code: 1, findings: [] }
  } catch {
    return { code: 1, findings: [] }
  }
  try {
    const options = { publicKeys, ...(heads === undefined ? {} : { expectHead: heads }) }
    const { ok, changed, findings } = await verifyExport([file], options)
    return { code: ok ? 0 : changed ? 2 : 3, findings: findings.map(({ code }) => code) }
  } catch {
    return { code: 1, findings: [] }
  }
}

/** Runs the Python verifier and returns its standard output. */
export async function python(args: readonly string[], input = ''): Promise<string> {
  const child = spawn('python3', ['-B', verifier, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(input)
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  await once(child, 'close')
  return output
}
