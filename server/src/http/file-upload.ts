import type { Readable } from 'node:stream'
import busboy from '@fastify/busboy'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { invalid, Problem, refusal } from '../platform/problem.ts'
import { isLine, lineRule } from '../platform/visible-text.ts'
import { malformedForm } from './refusals.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The body is a stream that its route reads piece by piece: only the pieces weigh (bytes-under-way.ts). */
    readonly streamsBody?: true
  }
}

export const notAForm = refusal(
  415,
  'http.not_a_form',
  'Send the file as multipart/form-data, in a part with the name file and a filename.',
)

/** A file as it arrives: nothing of it is kept here, and its sender waits for whoever reads it. */
export interface ArrivingFile {
  readonly name: string
  /** What the sender says it is: a media type without parameters, in lower case. */
  readonly declaredType: string
  readonly content: AsyncIterable<Buffer>
}

const maxNameLength = 255
/** Of the form around the file: boundaries, and the headers of its one part. */
export const formBytes = 16_384
const maxHeaderBytes = 8_192

const isForm = /^multipart\/form-data\s*(?:;|$)/i

/** Leaves the bodies of this scope's routes to `receiveFile`, which takes a form with one file and nothing else. */
export function takeFileUploads(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', (_request, _body, done) => done(null, undefined))
}

interface Receiving {
  readonly maxBytes: number
  readonly tooLarge: () => Problem
}

/**
 * Reads the form of a call and hands its file to `take`, which reads it to the end. Returns what `take` did once the whole form
 * has arrived and holds nothing else. More than `maxBytes` of content are refused with `tooLarge`.
 */
export async function receiveFile<T>(
  { raw, headers }: FastifyRequest,
  reply: FastifyReply,
  { maxBytes, tooLarge }: Receiving,
  take: (file: ArrivingFile) => Promise<T>,
): Promise<T> {
  if (!isForm.test(headers['content-type'] ?? '')) throw notAForm()
  const isAnnounced = headers['transfer-encoding'] === undefined
  const tooMuch = Number(headers['content-length'] ?? 0) > maxBytes + formBytes
  // The rest of a refused form is read and dropped, so that its sender gets to know why, unless it may be endless.
  if (!isAnnounced || tooMuch) reply.header('connection', 'close')
  if (tooMuch) throw tooLarge()
  const form = openForm(headers, maxBytes)
  const parts: Readable[] = []
  let taking: Promise<T> | null = null
  try {
    await new Promise<void>((arrived, refuse) => {
      form.on('file', (field, content, filename, _encoding, declaredType) => {
        // Without a listener, the end of a connection would end the process.
        content.on('error', () => {}).on('limit', () => refuse(tooLarge()))
        // Clients send quotation marks and line ends like this (WHATWG HTML, 4.10.21.8), and nothing else.
        const name = (filename ?? '').replace(/%(?:22|0D|0A)/gi, decodeURIComponent)
        const problem = parts.push(content) > 1 ? twice() : flawOf(field, name)
        if (problem !== null) return refuse(problem)
        taking = take({ name, declaredType, content })
        taking.catch(refuse)
      })
      form.on('field', (field) => refuse(unknownPart(field)))
      form.on('partsLimit', () => refuse(twice()))
      form.once('error', refuse).once('finish', arrived)
      const ended = (): void => {
        // It also closes when all of it is here, while its file is still being taken.
        if (!raw.complete) refuse(cutOff(raw.errored))
      }
      if (raw.destroyed) return refuse(cutOff(raw.errored))
      raw.once('close', ended)
      raw.pipe(form)
    })
    // A second part may have been refused meanwhile.
    if (taking === null) throw invalid('file', 'is required: a part with a filename')
    return await (taking as Promise<T>)
  } catch (error) {
    const reason = error instanceof Problem || !isOfForm(error) ? error : cutOff(error)
    raw.unpipe(form)
    for (const content of parts) content.destroy(reason as Error)
    // What has begun is over before the caller goes on.
    await (taking as Promise<T> | null)?.catch(() => {})
    throw reason
  }
}

const twice = () => invalid('file', 'is there twice, or beside something else: send one part')
const unknownPart = (field: string | undefined) =>
  invalid(field || 'file', 'is not known here: send one part, file, with a filename')
const cutOff = (cause: unknown) =>
  malformedForm('The form is cut off or not well-formed multipart/form-data. Send it again.', cause)

/** The parser's errors have neither a class nor a code of their own. */
const isOfForm = (error: unknown): boolean =>
  error instanceof Error && /multipart|Part terminated|header|boundary/i.test(error.message)

function openForm(headers: FastifyRequest['headers'], maxBytes: number) {
  try {
    return new busboy.Busboy({
      headers: headers as { 'content-type': string },
      fileHwm: 65_536,
      limits: { fileSize: maxBytes, parts: 3, fieldSize: 1_024, headerPairs: 16, headerSize: maxHeaderBytes },
    })
  } catch (error) {
    throw malformedForm('The form has no boundary: its Content-Type needs one.', error)
  }
}

/** Null: the part is a file with a name that people can be shown. */
function flawOf(field: string | undefined, name: string): Problem | null {
  if (field !== 'file') return unknownPart(field)
  if (name === '' || name === '.' || name === '..') return invalid('file', 'needs a filename')
  if (name.length > maxNameLength) return invalid('file', `has a filename of more than ${maxNameLength} characters`)
  return isLine(name) ? null : invalid('file', `has a filename that ${lineRule}`)
}
