import { isUtf8 } from 'node:buffer'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { invalid } from '../platform/problem.ts'
import { isPrototypeName, readPairs } from './ambiguity.ts'
import { refuseOtherCharsets } from './content-type.ts'
import { malformedForm } from './refusals.ts'

/** Lets the routes of this scope take HTML forms in both encodings, with their fields as text in `request.body`. */
export async function registerFormBodies(scope: FastifyInstance): Promise<void> {
  scope.addContentTypeParser(
    /^application\/x-www-form-urlencoded\s*(?:;|$)/i,
    { parseAs: 'buffer' },
    async (request: FastifyRequest, body: Buffer) => {
      refuseOtherCharsets(request.headers['content-type'])
      return Object.fromEntries(readPairs(utf8(body), 'form'))
    },
  )
  // The platform's own parser (Fetch, 5.3 formData()): the streaming plugins reply 500 to a form that is cut off.
  scope.addContentTypeParser(
    /^multipart\/form-data\s*(?:;|$)/i,
    { parseAs: 'buffer' },
    async (request: FastifyRequest, body: Buffer) => {
      const contentType = request.headers['content-type'] ?? ''
      refuseOtherCharsets(contentType)
      utf8(body)
      const form = await new Response(body, { headers: { 'content-type': contentType } })
        .formData()
        .catch((cause: unknown) => {
          throw malformedForm('The form is not well-formed multipart/form-data.', cause)
        })
      for (const name of form.keys()) {
        if (isPrototypeName(name)) throw invalid(name, 'is a name that is not allowed in the form')
        if (form.getAll(name).length > 1) throw invalid(name, 'is in the form twice: send it once')
      }
      return Object.fromEntries(form)
    },
  )
}

function utf8(body: Buffer): string {
  if (!isUtf8(body)) throw malformedForm('The form is not in UTF-8. Send it in UTF-8.')
  return body.toString('utf8')
}
