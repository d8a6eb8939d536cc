import type { Request } from './requests.ts'

/** What makes requests identical to the service: asked by the same agent, with the same digest. */
export const kindOf = ({ agent_id, digest }: Request): string => `${agent_id} ${digest}`
