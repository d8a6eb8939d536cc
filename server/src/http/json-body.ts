import type { FastifyInstance } from 'fastify'
import { type JsonText, type ParsedJson, parseExactJson } from '../platform/json.ts'
import { largeBytes, parseLargeJson } from '../platform/large-json.ts'
import { refusal } from '../platform/problem.ts'
import { refuseOtherCharsets } from './content-type.ts'
import { needsBody, nothing } from './validation.ts'

export const emptyBody = refusal(400, 'json.empty', 'The body is empty. Send a JSON object.')
export const compressedBody = refusal(
  415,
  'http.content_encoding',
  'Compressed bodies are not accepted. Send the body as it is.',
)

declare module 'fastify' {
  interface FastifyRequest {
    /** The body's bytes as received; null when there was none or it was not JSON. */
    rawBody: Buffer | null
    /** Source text of the body's members (see platform/json.ts). */
    members: ReadonlyMap<string, JsonText> | null
  }
}

/** JSON bodies that keep every number and character; see platform/json.ts for what is refused. */
export function registerJsonBody(app: FastifyInstance): void {
  app.decorateRequest('rawBody', null)
  app.decorateRequest('members', null)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    /^application\/(?:[a-z0-9.-]+\+)?json\s*(?:;|$)/i,
    { parseAs: 'buffer' },
    (request, body: Buffer, done) => {
      try {
        refuseOtherCharsets(request.headers['content-type'])
        if (body.length === 0) {
          // Many clients send a content type with every POST: where no body is needed, an empty one is fine.
          if (needsBody(request.routeOptions.schema?.body)) throw emptyBody()
          return done(null, undefined)
        }
        const keep = ({ value, members }: ParsedJson): void => {
          request.rawBody = body
          request.members = members
          done(null, value)
        }
        if (body.length < largeBytes) keep(parseExactJson(body))
        else {
          const { actor, client } = request
          const payer = actor === null ? [client.network] : [actor.organizationId, actor.id ?? '']
          const schema = (request.routeOptions.schema?.body as object | undefined) ?? nothing
          parseLargeJson(body, schema, payer).then(keep, done)
        }
      } catch (error) {
        done(error as Error)
      }
    },
  )
  app.addHook('onRequest', (request, _reply, done) => {
    const encoding = request.headers['content-encoding']
    // The bodies of GET and HEAD are never read.
    const isRead = request.method !== 'GET' && request.method !== 'HEAD'
    if (!isRead || encoding === undefined || encoding.toLowerCase() === 'identity') return done()
    done(compressedBody())
  })
}
