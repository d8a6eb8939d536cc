/** The service's end of the wire, for code of the browser that is tested without one. Import it before what calls. */
export interface Call {
  readonly method: string
  readonly path: string
  readonly body: unknown
}
export type Reply = { readonly status: number; readonly body: unknown }

const calls: Call[] = []
let answer: (call: Call) => Promise<Reply> | Reply = () => ({ status: 500, body: {} })

export const wire = {
  calls,
  /** From now on; an error thrown is a reply that never arrives. */
  replies: (next: typeof answer): void => {
    calls.length = 0
    answer = next
  },
}

const origin = 'http://service.test'
Object.assign(globalThis, {
  document: { querySelector: () => ({ content: origin }) },
  fetch: async (request: Request): Promise<Response> => {
    const text = await request.clone().text()
    const call = {
      method: request.method,
      path: request.url.slice(origin.length),
      body: text === '' ? undefined : JSON.parse(text),
    }
    calls.push(call)
    const { status, body } = await answer(call)
    return new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } })
  },
})

/** What a sign-in of this person gives. */
export const signedInAs = (id: string): Reply => ({
  status: 200,
  body: { access_token: 'token', token_type: 'bearer', expires_in: 900, user: { id, email: `${id}@example.com` } },
})
