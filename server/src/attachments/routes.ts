import { Readable } from 'node:stream'
import { create as contentDisposition } from 'content-disposition'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { conditionalHeaders, isUnchanged } from '../http/conditional.ts'
import { formBytes, notAForm, receiveFile, takeFileUploads } from '../http/file-upload.ts'
import { idempotencyHeaders, idempotencyOf } from '../http/idempotency.ts'
import { idParams, problems, success, withHeaders } from '../http/openapi.ts'
import { malformedForm } from '../http/refusals.ts'
import { noContentPolicy } from '../http/security-headers.ts'
import { compileAllButBody } from '../http/validation.ts'
import { callerOf, type Guard } from '../identity/guard.ts'
import * as rules from './attachment.ts'
import { type ByteRange, rangeOf, rangeUnsatisfiable } from './byte-range.ts'
import type { Requests } from './context.ts'
import { typeDiffers, typeMalformed } from './media-type.ts'
import { attachmentExample, attachmentSchema, oneAttachment } from './schemas.ts'
import type { Attachments } from './service.ts'

export interface AttachmentRoutes {
  readonly attachments: Attachments
  readonly guard: Guard
  readonly requests: Pick<Requests, 'notFound' | 'closed'>
  readonly limits: rules.AttachmentLimits
}

interface OneAttachment {
  Params: { id: string; attachment_id: string }
}

const common = { tags: ['requests'] }

export function registerAttachmentRoutes(app: FastifyInstance, routes: AttachmentRoutes): void {
  app.addSchema(attachmentSchema)
  app.register(async (scope) => {
    takeFileUploads(scope)
    addRoute(scope, routes)
  })
  readRoute(app, routes)
  removeRoute(app, routes)
}

function addRoute(app: FastifyInstance, { attachments, guard, requests, limits }: AttachmentRoutes): void {
  const made = success('The attachment, durable', Type.Ref('Attachment'), attachmentExample)
  const { config, ...guarded } = guard('request.attach')
  const schema = {
    ...common,
    summary: 'Add a file: an agent to what it asks, a person for their answer',
    description:
      'multipart/form-data with one part, `file`, that has a filename. The type of the part is held to the first bytes of the ' +
      'file. From an agent the file becomes a part of what is asked, and so of its digest: an answer that names the digest from ' +
      'before is refused. A file that a person adds is seen by that person alone until an answer of theirs names it, and deleted ' +
      `after a week if none does; there may be ${rules.mostUnused} of them at a time.`,
    operationId: 'addAttachment',
    params: idParams,
    headers: idempotencyHeaders,
    consumes: ['multipart/form-data'],
    body: Type.Object(
      {
        file: Type.String({
          format: 'binary',
          maxLength: limits.bytes,
          description: 'The file, with a filename in one line and, if known, its Content-Type.',
        }),
      },
      { title: 'AttachmentForm', examples: [{ file: 'Quantity;Volume\r\n3;vol-1\r\n' }] },
    ),
    response: {
      201: withHeaders(made, 'Location'),
      ...problems(
        requests.notFound,
        ...requests.closed,
        rules.tooLarge.saying(limits.bytes),
        rules.tooMany.saying(limits.perRequest),
        rules.quotaUsed.saying(limits.organizationBytes),
        typeDiffers,
        typeMalformed,
        notAForm,
        malformedForm,
        rules.storeUnavailable,
      ),
    },
  }
  app.post<{ Params: { id: string } }>(
    '/requests/:id/attachments',
    // The body is not there yet when schemas are checked.
    { ...guarded, config: { ...config, streamsBody: true }, schema, validatorCompiler: compileAllButBody },
    async (request, reply) => {
      const { id } = request.params
      const receiving = { maxBytes: limits.bytes, tooLarge: () => rules.tooLarge(limits.bytes) }
      const added = await attachments.add(callerOf(request), id, {
        receive: (take) => receiveFile(request, reply, receiving, take),
        requireStillAllowed: () => request.allowAgain(),
        // The form around the file comes to less than this.
        leastBytes: Number(request.headers['content-length'] ?? 0) - formBytes,
        isRepeatable: request.headers['idempotency-key'] !== undefined,
        idempotencyOf: ({ name, mediaType, sha256 }) =>
          idempotencyOf(request, JSON.stringify(['attach', id.toLowerCase(), name, mediaType, sha256])),
      })
      if (added.replayed) reply.header('idempotency-replayed', 'true')
      reply.createdAt(`/api/v1/requests/${id.toLowerCase()}/attachments/${added.made.id}`)
      return rules.attachmentJson(added.made)
    },
  )
}

function readRoute(app: FastifyInstance, { attachments, guard, requests }: AttachmentRoutes): void {
  const content = { '*/*': { schema: Type.String({ format: 'binary' }) } }
  const headers = ['Content-Disposition', 'ETag', 'Accept-Ranges', 'Content-Range'] as const
  const schema = {
    ...common,
    summary: 'The content of an attachment, or a part of it',
    description:
      'Always to be saved, never shown in place. `Range` asks for one part; with `If-Range` only of the content with that ETag. ' +
      'A request for several parts gets the whole file.',
    operationId: 'getAttachment',
    params: oneAttachment,
    headers: conditionalHeaders,
    response: {
      200: withHeaders({ description: 'All of it, with its media type', content }, ...headers),
      206: withHeaders({ description: 'The part', content }, ...headers),
      304: withHeaders({ description: 'The caller has it: If-None-Match names its ETag', type: 'null' }, ...headers),
      ...problems(requests.notFound, rules.attachmentNotFound, rangeUnsatisfiable, rules.storeUnavailable),
    },
  }
  app.get<OneAttachment>(
    '/requests/:id/attachments/:attachment_id',
    { ...guard('request.read'), schema },
    async (request, reply) => {
      const { id, attachment_id: attachmentId } = request.params
      const attachment = await attachments.find(callerOf(request).principal, id, attachmentId)
      const etag = `"${attachment.sha256}"`
      reply
        .header('accept-ranges', 'bytes')
        .header('content-disposition', contentDisposition(attachment.name))
        // Should a browser show it all the same: as of nobody's origin, and without scripts.
        .header('content-security-policy', `${noContentPolicy}; sandbox`)
      if (isUnchanged(request, reply, etag)) return reply.status(304).send()
      const range = partOf(request, etag, attachment.size)
      describe(reply, attachment, range)
      // Like every part, its size is known without the content.
      if (request.method === 'HEAD') return reply.send(Readable.from([]))
      return reply.send(
        Readable.from(await attachments.open(attachment, range), { objectMode: false, highWaterMark: 1 }),
      )
    },
  )
}

/** HEAD has no parts (RFC 9110, 14.2), and one of another content than the caller has begun with is of no use to it. */
function partOf({ method, headers }: FastifyRequest, etag: string, size: number): ByteRange | null {
  const condition = headers['if-range']
  if (method === 'HEAD' || (condition !== undefined && condition !== etag)) return null
  return rangeOf(headers.range, size)
}

function describe(reply: FastifyReply, { size, mediaType }: rules.Attachment, range: ByteRange | null): void {
  const length = range === null ? size : range.last - range.first + 1
  reply.header('content-type', mediaType).header('content-length', String(length))
  if (range !== null) reply.status(206).header('content-range', `bytes ${range.first}-${range.last}/${size}`)
}

function removeRoute(app: FastifyInstance, { attachments, guard, requests }: AttachmentRoutes): void {
  const schema = {
    ...common,
    summary: 'Remove a file that the caller added, before the request is answered',
    operationId: 'removeAttachment',
    params: oneAttachment,
    response: {
      204: { description: 'It is gone', type: 'null' },
      ...problems(requests.notFound, rules.attachmentNotFound, ...requests.closed, rules.isSealed),
    },
  }
  app.delete<OneAttachment>(
    '/requests/:id/attachments/:attachment_id',
    { ...guard('request.attach'), schema },
    async (request, reply) => {
      const { id, attachment_id: attachmentId } = request.params
      await attachments.remove(callerOf(request), id, attachmentId)
      return reply.status(204).send()
    },
  )
}
