import { askAs, newAgent } from '../api/asking.ts'
import { api } from '../api/client.ts'
import { granted } from '../api/refused.ts'
import { say } from '../words/say.ts'
import { practiceRequests } from './practice-requests.ts'

const days = 86_400_000

/** Has an agent of its own ask them. Its key is revoked at once: it is for nothing else. */
export async function makePracticeRequests(): Promise<void> {
  const expires_at = new Date(Date.now() + days).toISOString()
  const agent = { name: 'practice-agent', description: say('practice.agent') }
  const { id, key } = await newAgent(agent, { name: 'practice', scopes: ['requests:create'], expires_at })
  try {
    await askAs(key, practiceRequests())
  } finally {
    await granted(api.PATCH('/api/v1/api-keys/{id}', { params: { path: { id } }, body: { is_active: false } }))
  }
}
