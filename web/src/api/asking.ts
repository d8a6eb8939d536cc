import { api, type Schemas } from './client.ts'
import { publicPath } from './public-path.ts'
import { granted } from './refused.ts'
import { anyone } from './session.ts'

/** A new agent, and a key with which it asks. */
export async function newAgent(
  agent: Schemas['CreateAgent'],
  key: Omit<Schemas['CreateApiKey'], 'agent_id'>,
): Promise<Schemas['CreatedApiKey']> {
  const { id } = await granted(api.POST('/api/v1/agents', { body: agent }))
  return granted(api.POST('/api/v1/api-keys', { body: { ...key, agent_id: id } }))
}

/** Asks as an agent does, all or nothing. */
export const askAs = (key: string, requests: Schemas['CreateRequest'][]): Promise<Schemas['CreatedRequests']> =>
  granted(anyone.POST('/api/v1/requests/batch', { body: { requests }, headers: { authorization: `Bearer ${key}` } }))

/** A command that asks with this key, and works when it is pasted. */
export function curlWith(key: string, title: string): string {
  const body = JSON.stringify({ title, context: { from: 'curl' } }).replaceAll("'", "'\\''")
  return `curl ${location.origin}${publicPath}/api/v1/requests \\
  -H 'Authorization: Bearer ${key}' \\
  -H 'Content-Type: application/json' \\
  -d '${body}'`
}
