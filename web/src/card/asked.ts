import type { Schemas } from '../api/client.ts'

/** What a request or an earlier revision of it asks. */
export type Asked = Pick<
  Schemas['Request'],
  'title' | 'description' | 'context' | 'action' | 'answer' | 'justification' | 'presentation' | 'risk' | 'attachments'
>

/** What the digest covers. */
export const askedParts = (asked: Omit<Asked, 'risk'>) => {
  const { title, description, context, action, answer, justification, presentation, attachments } = asked
  return { title, description, context, action, answer, justification, presentation, attachments }
}
