import formbody from '@fastify/formbody'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Problem } from '../platform/problem.ts'

/** Forms hold a few short fields; 16 KiB is far beyond them. */
const bodyLimit = 16_384

/** Lets the routes of this scope take HTML forms in both encodings, with their fields as text in `request.body`. */
export async function registerFormBodies(scope: FastifyInstance): Promise<void> {
  await scope.register(formbody, { bodyLimit })
  // The platform's own parser (Fetch, 5.3 formData()): the streaming plugins answer 500 to a form that is cut off.
  scope.addContentTypeParser(
    'multipart/form-data',
    { parseAs: 'buffer', bodyLimit },
    async (request: FastifyRequest, body: Buffer) => {
      const form = new Response(body, { headers: { 'content-type': request.headers['content-type'] ?? '' } }).formData()
      const fields = await form.catch((cause: unknown) => {
        throw new Problem(400, 'form.malformed', 'The form is not well-formed multipart/form-data.', { cause })
      })
      return Object.fromEntries(
        // A name twice stays a list, which no schema of a text field takes.
        [...new Set(fields.keys())].map((name) => [
          name,
          fields.getAll(name).length > 1 ? fields.getAll(name) : fields.get(name),
        ]),
      )
    },
  )
}
