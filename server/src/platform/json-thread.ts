import { hash } from 'node:crypto'
import { parentPort } from 'node:worker_threads'
import canonicalize from 'canonicalize'
import { parseExactJson } from './json.ts'
import type { Reply, Task } from './large-json.ts'
import { Problem } from './problem.ts'
import { type Check, compileCheck, withoutFree } from './validation.ts'

/** The other side of large-json.ts: a thread that has all the time it needs. */

const checks = new Map<string, { readonly schema: object; readonly check: Check }>()

function checkOf(text: string) {
  const known = checks.get(text)
  if (known !== undefined) return known
  const schema = JSON.parse(text) as object
  const made = { schema, check: compileCheck(schema, 'body') }
  checks.set(text, made)
  return made
}

function perform(task: Task): Reply {
  if ('canonical' in task) return { digest: hash('sha256', canonicalize(JSON.parse(task.canonical)) ?? '') }
  const { schema, check } = checkOf(task.schema)
  const { value, members } = parseExactJson(Buffer.from(task.bytes))
  const problem = check(value)
  if (problem !== null) throw problem
  return { value: withoutFree(schema, value), members }
}

parentPort?.on('message', (task: Task) => {
  try {
    parentPort?.postMessage(perform(task))
  } catch (error) {
    // Anything else ends the thread, and is thrown on the other side.
    if (!(error instanceof Problem)) throw error
    const { code, message: detail, errors = [] } = error
    parentPort?.postMessage({ refused: { code, detail, errors } } satisfies Reply)
  }
})
