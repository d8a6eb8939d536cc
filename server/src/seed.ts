import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { App } from './app.ts'
import { ConfigError } from './config.ts'
import type { User } from './identity/accounts/user.ts'
import { type Agent, keyScopes, type Person } from './identity/principal.ts'
import type { Idempotency } from './platform/idempotency.ts'
import { type ParsedJson, parseExactJson } from './platform/json.ts'
import { samples as mondaySamples, type Sample } from './samples.ts'

/** The sample accounts; config.ts and main.ts refuse them in production. */
export const samplePassword = 'password123'
export const sampleAdmin = 'admin@example.com'
export const sampleReviewer = 'reviewer@example.com'

const httpRequestId = 'seed'

/** Sample data: two accounts, and agents with what they ask. A second run finds everything in place and changes nothing. */
export async function seed(app: App, samples: readonly Sample[] = mondaySamples): Promise<{ readonly apiKey: string }> {
  const { people } = app.identity
  if (await people.isInUseWithout(sampleAdmin)) {
    const reason = 'this installation has other accounts, and the password of the sample accounts is public'
    throw new ConfigError([`seed and DEMO are refused: ${reason}. Use another DATA_DIR to try the service out`])
  }
  const admin = await people.ensureUser({ email: sampleAdmin, password: samplePassword, name: 'Ada Admin' }, 'admin')
  const robin = { email: sampleReviewer, password: samplePassword, name: 'Robin Reviewer' }
  const reviewer = personOf(await people.ensureUser(robin, 'reviewer'))
  const agents = new Map<string, SampleAgent>()
  for (const { by } of samples) {
    if (!agents.has(by)) agents.set(by, await sampleAgent(app, personOf(admin), by))
  }
  for (const sample of samples) {
    const agent = agents.get(sample.by)
    if (agent !== undefined) await ask(app, { agent: agent.principal, reviewer }, sample)
  }
  const [first] = agents.values()
  if (first === undefined) throw new Error('there is no sample agent')
  return { apiKey: first.apiKey }
}

const personOf = ({ organizationId, id: userId, accountId, role, name }: User): Person => ({
  kind: 'person',
  organizationId,
  userId,
  accountId,
  role,
  name,
})

interface SampleAgent {
  readonly principal: Agent
  readonly apiKey: string
}

async function sampleAgent({ identity }: App, admin: Person, name: string): Promise<SampleAgent> {
  const { raw, key } = await identity.apiKeys.createApiKey(
    { principal: admin, httpRequestId },
    { name, description: 'Made with the sample data.' },
    once(name),
    null,
  )
  const { organizationId, agentId, id: apiKeyId } = key
  return { principal: { kind: 'agent', organizationId, agentId, apiKeyId, scopes: keyScopes }, apiKey: raw }
}

interface Parties {
  readonly agent: Agent
  readonly reviewer: Person
}

async function ask(app: App, { agent, reviewer }: Parties, { asks, files = [], next = [] }: Sample): Promise<void> {
  const { consultations } = app
  const byAgent = { principal: agent, httpRequestId }
  const asking = { idempotency: once(asks.title), traceparent: null }
  const { made, replayed } = await consultations.create(byAgent, bodyOf(asks), asking)
  // What people did with it since is theirs.
  if (replayed) return
  for (const { name, mediaType, content } of files) {
    await app.attachments.add(byAgent, made.id, {
      receive: (take) => take({ name, declaredType: mediaType, content: Readable.from([content]) }),
      requireStillAllowed: async () => {},
      isRepeatable: false,
      leastBytes: content.length,
      idempotencyOf: () => null,
    })
  }
  for (const step of next) {
    if (step.act === 'answers') {
      await consultations.respond({ principal: reviewer, httpRequestId }, made.id, bodyOf(step.body))
    } else if (step.act === 'revises') await consultations.revise(byAgent, made.id, bodyOf(step.body), null)
    else if (step.act === 'reports') await consultations.report(byAgent, made.id, bodyOf(step.body))
    else await consultations.cancel(byAgent, made.id)
  }
}

const bodyOf = (body: unknown): ParsedJson => parseExactJson(Buffer.from(JSON.stringify(body)))

/** The samples are not secret, so their hash needs no key. */
function once(what: string): Idempotency {
  const hash = createHash('sha256').update(what).digest()
  return { key: `seed-${hash.toString('hex').slice(0, 16)}`, hash, isOf: (stored) => stored?.equals(hash) === true }
}
