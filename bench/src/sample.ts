/**
 * About 500 bytes, the usual size of an agent's context. Its names are in the order of RFC 8785, so the text is its canonical form,
 * of which database.ts computes digests.
 */
export const sampleContext = JSON.stringify({
  action: 'volumes.delete',
  environment: 'production',
  links: ['https://console.example.com/volumes', 'https://runbooks.example.com/cleanup'],
  monthly_cost: { amount: 42.5, currency: 'EUR' },
  reason: 'Not attached to any instance for 90 days; the last snapshot is kept for another year. '.repeat(2),
  risk: { level: 'medium', reversible: false, score: 0.37 },
  volumes: ['vol-0a12', 'vol-0b34', 'vol-0c56', 'vol-0d78'],
})

export interface CallbackTarget {
  readonly url: string
  readonly secret: string
}

let made = 0

/** The body of a create as JSON text. Each one is different. */
export function createBody({ url, secret }: CallbackTarget): string {
  made += 1
  return `{"title":"Delete unused volumes, batch ${made}?","context":${sampleContext},"metadata":{"run":"bench","n":${made}},"callback_webhook":"${url}","callback_secret":"${secret}"}`
}
