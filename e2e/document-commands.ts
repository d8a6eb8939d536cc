import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { passedOn } from '../server/test/service-process.ts'

export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const root = join(import.meta.dirname, '..')

/** The marked commands of a document, run in a shell where `hitl` is this checkout's. `folder`: where they run. */
export async function commandsOf(document: string, folder: string) {
  const text = await readFile(join(root, document), 'utf8')
  const bin = join(folder, 'bin')
  await mkdir(bin)
  await writeFile(join(bin, 'hitl'), `#!/bin/sh\nexec "${process.execPath}" "${join(root, 'cli/bin/hitl.mjs')}" "$@"\n`)
  await chmod(join(bin, 'hitl'), 0o755)

  const block = (mark: string): string => {
    const found = text.split(new RegExp(`\`\`\`\\w+ ${mark}\n`))[1]?.split('```')[0]
    assert.ok(found, `${document} has no block ${mark}`)
    return found
  }
  const run = (script: string, environment: Readonly<Record<string, string>>): Promise<Ended> => {
    const env = { ...passedOn, NODE_ENV: 'test', ...environment }
    const path = { PATH: `${bin}${delimiter}${env.PATH}` }
    return new Promise((resolve) => {
      execFile('sh', ['-eu', '-c', script], { cwd: folder, env: { ...env, ...path } }, (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
      )
    })
  }
  return {
    text,
    block,
    run,
    /** Runs a block, which has to succeed. */
    done: async (mark: string, environment: Readonly<Record<string, string>>): Promise<Ended> => {
      const ended = await run(block(mark), environment)
      assert.equal(ended.code, 0, `${mark}: ${ended.stdout}${ended.stderr}`)
      return ended
    },
  }
}
