import type { Reply, TestApp } from '../harness.ts'

interface Sent {
  readonly as?: string
  readonly name?: string
  readonly type?: string
  readonly content?: string | Buffer
}

/** Adds a file to a request: a small PNG of the reviewer's, unless something else is said. */
export function addFile(t: TestApp, requestId: string, sent: Sent = {}): Promise<Reply> {
  const { as = t.reviewer.token, name = 'scan.png', type = 'image/png', content = png } = sent
  const form = new FormData()
  form.set('file', new Blob([content as never], { type }), name)
  return t.call('POST', `/api/v1/requests/${requestId}/attachments`, { as, body: form })
}

/** A pixel. */
export const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)
