import { refusal } from '../platform/problem.ts'
import { mediaType } from './refusals.ts'

export const otherCharset = refusal(
  415,
  'http.charset',
  'The body must be UTF-8. Send it in UTF-8, with or without a charset parameter.',
)

/** Throws 415 for a body in anything but UTF-8. The parsers check the media type itself. */
export function refuseOtherCharsets(contentType: string | undefined): void {
  if (contentType === undefined || !contentType.includes(';')) return
  const charsets = parameters(contentType).filter(([name]) => name === 'charset')
  const [first, ...more] = charsets
  if (first === undefined) return
  if (more.length > 0 || !/^utf-?8$/i.test(first[1])) {
    throw otherCharset()
  }
}

/**
 * The parameters of a media type (RFC 9110, 5.6.6). Throws 415 for an invalid one. Neither Fastify's parser nor `util.MIMEType`
 * serves here: both skip what they cannot read, and keep one of two charsets without a word.
 */
function parameters(contentType: string): readonly (readonly [name: string, value: string])[] {
  const form = /\s*;\s*(?:([\w!#$%&'*+.^`|~-]+)=(?:([\w!#$%&'*+.^`|~-]+)|"((?:[^"\\]|\\.)*)"))?/y
  form.lastIndex = contentType.indexOf(';')
  const found: (readonly [string, string])[] = []
  while (form.lastIndex < contentType.trimEnd().length) {
    const match = form.exec(contentType)
    if (match === null) throw mediaType()
    const [, name, token, quoted] = match
    if (name !== undefined) found.push([name.toLowerCase(), token ?? (quoted ?? '').replace(/\\(.)/g, '$1')])
  }
  return found
}
