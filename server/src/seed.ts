import { createHash } from 'node:crypto'
import type { App } from './app.ts'
import { ConfigError } from './config.ts'
import { type Agent, keyScopes } from './identity/principal.ts'
import type { Idempotency } from './platform/idempotency.ts'
import { parseExactJson } from './platform/json.ts'

/** The sample accounts; config.ts and main.ts refuse them in production. */
export const samplePassword = 'password123'
export const sampleAdmin = 'admin@example.com'
export const sampleReviewer = 'reviewer@example.com'

const httpRequestId = 'seed'

const samples = [
  {
    title: 'Delete 3 unused volumes in production?',
    description: 'They have not been attached for 90 days.',
    context: { volumes: ['vol-1', 'vol-2', 'vol-3'], monthly_cost: 42.5 },
  },
  {
    title: 'Refund order 4711?',
    description: 'The customer reports a broken glass; the photo is convincing.',
    context: { order: 4711, amount: '89.90', currency: 'EUR', customer_since: 2019 },
  },
  {
    title: 'Send the newsletter to 12 840 subscribers?',
    description: null,
    context: { subject: 'What is new in spring', audience: 'all', links_checked: true },
  },
] as const

/** Sample data: two accounts, one API key, three requests. A second run finds everything in place and changes nothing. */
export async function seed(app: App): Promise<{ readonly apiKey: string }> {
  const { consultations } = app
  const { people, apiKeys } = app.identity
  if (await people.isInUseWithout(sampleAdmin)) {
    const reason = 'this installation has other accounts, and the password of the sample accounts is public'
    throw new ConfigError([`seed and DEMO are refused: ${reason}. Use another DATA_DIR to try the service out`])
  }
  const admin = await people.ensureUser({ email: sampleAdmin, password: samplePassword, name: 'Ada Admin' }, 'admin')
  await people.ensureUser({ email: sampleReviewer, password: samplePassword, name: 'Robin Reviewer' }, 'reviewer')
  const { organizationId } = admin
  const person = {
    kind: 'person',
    organizationId,
    userId: admin.id,
    accountId: admin.accountId,
    role: 'admin',
  } as const
  const { raw, key } = await apiKeys.createApiKey(
    { principal: person, httpRequestId },
    { name: 'sample-agent', description: 'Made with the sample data.' },
    once('sample-agent'),
    null,
  )
  const { agentId, id: apiKeyId } = key
  const agent: Agent = { kind: 'agent', organizationId, agentId, apiKeyId, scopes: keyScopes }
  for (const sample of samples) {
    const body = parseExactJson(Buffer.from(JSON.stringify({ ...sample, timeout_minutes: null })))
    await consultations.create({ principal: agent, httpRequestId }, body, {
      idempotency: once(sample.title),
      traceparent: null,
    })
  }
  return { apiKey: raw }
}

/** The samples are not secret, so their hash needs no key. */
function once(what: string): Idempotency {
  const hash = createHash('sha256').update(what).digest()
  return { key: `seed-${hash.toString('hex').slice(0, 16)}`, hash, isOf: (stored) => stored?.equals(hash) === true }
}
