import assert from 'node:assert/strict'

// biome-ignore lint/suspicious/noExplicitAny: replies of every shape
export type Json = any

/** One side of the conversation: who calls, and what the log shows of it. */
export interface Caller {
  call(method: 'GET' | 'POST', path: string, body?: unknown): Promise<Json>
  /** A call that has to be refused with this code. */
  refused(code: string, path: string, body: unknown): Promise<void>
  /** Adds a file to a request. */
  attach(path: string, name: string, type: string, content: string): Promise<Json>
  /** The content of a file. */
  download(path: string): Promise<Buffer>
}

export const say = (text: string): void => void process.stdout.write(`${text}\n`)
export const show = (value: unknown): void => say(JSON.stringify(value, null, 2).replace(/^/gm, '   '))

export function caller(api: string, name: string, token: string | null): Caller {
  const authorization: Readonly<Record<string, string>> = token === null ? {} : { authorization: `Bearer ${token}` }
  const send = (method: string, path: string, body: unknown) =>
    fetch(`${api}${path}`, {
      method,
      headers: { ...authorization, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  const granted = async (path: string, response: Response): Promise<Response> => {
    if (!response.ok) throw new Error(`${path} returned ${response.status}: ${await response.text()}`)
    return response
  }
  return {
    call: async (method, path, body) => {
      const reply = (await (await granted(path, await send(method, path, body))).json()) as Json
      if (method === 'POST' && name !== '') say(`   ${name}: ${method} ${shortened(path)}${told(body)}`)
      return reply
    },
    refused: async (code, path, body) => {
      const response = await send('POST', path, body)
      const problem = (await response.json()) as Json
      assert.equal(problem.code, code, `${path} returned ${response.status}`)
      say(`   ${name}: POST ${shortened(path)}${told(body)}\n      refused with ${response.status}: ${problem.detail}`)
    },
    attach: async (path, file, type, content) => {
      const form = new FormData()
      form.set('file', new Blob([content], { type }), file)
      const sent = await granted(
        path,
        await fetch(`${api}${path}`, { method: 'POST', headers: authorization, body: form }),
      )
      say(`   ${name}: POST ${shortened(path)}  ${file}`)
      return sent.json()
    },
    download: async (path) => {
      const response = await granted(path, await fetch(`${api}${path}`, { headers: authorization }))
      return Buffer.from(await response.arrayBuffer())
    },
  }
}

/** Ids say nothing to a reader. */
const shortened = (path: string): string => path.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '{id}')

function told(body: unknown): string {
  if (body === undefined) return ''
  const { title, requests } = body as Json
  if (requests !== undefined) return requests.map((one: Json) => `\n      ${one.title}`).join('')
  return `  ${title ?? JSON.stringify(body).replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '{id}')}`
}
