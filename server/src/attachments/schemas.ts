import { Type } from 'typebox'
import { id, sha256Hex, uuid } from '../http/schema-parts.ts'

export const attachmentSchema = Type.Object(
  {
    id,
    name: Type.String({ description: 'Its file name.' }),
    media_type: Type.String({ description: 'What it was said to be, held to its first bytes.' }),
    size: Type.Integer({ description: 'In bytes.' }),
    sha256: Type.String({ pattern: sha256Hex, description: 'SHA-256 of its content, in hex.' }),
  },
  { $id: 'Attachment', title: 'Attachment' },
)

export const attachmentExample = {
  id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a70',
  name: 'plan.pdf',
  media_type: 'application/pdf',
  size: 48_213,
  sha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
}

export const oneAttachment = Type.Object({
  id: Type.String({ format: 'uuid', description: 'The id of the request.' }),
  attachment_id: uuid('The id of the attachment.'),
})
