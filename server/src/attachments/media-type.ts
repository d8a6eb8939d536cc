import { fileTypeFromBuffer, supportedMimeTypes } from 'file-type'
import { refusal } from '../platform/problem.ts'

/**
 * What a file is: its sender's word, held to its first bytes. A type that has a signature must have it, whatever is text must
 * look like text, and only where neither says anything is the sender believed.
 */

/** What is looked at. Formats name themselves in their first bytes, archives in their first entry. */
export const sampleBytes = 16_384

const unknown = 'application/octet-stream'

export const typeDiffers = refusal(
  422,
  'attachment.type_differs',
  (declared: string, found: string) => ({
    detail: `The file is said to be ${declared}, but it is ${found}. Send it with the type that it has, or as ${unknown}.`,
    extra: { declared, found },
  }),
  'image/png',
  'application/pdf',
)

export const typeMalformed = refusal(
  422,
  'attachment.type_malformed',
  'The Content-Type of the file is not a media type. Send one such as image/png, or none.',
)

/** A type and a subtype (RFC 6838, 4.2), in lower case. */
const mediaType = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/

/** Other names of types. */
const aliases: Readonly<Record<string, string>> = {
  'image/jpg': 'image/jpeg',
  'image/x-png': 'image/png',
  'application/x-pdf': 'application/pdf',
  'application/x-gzip': 'application/gzip',
  'application/x-zip-compressed': 'application/zip',
  'application/x-zip': 'application/zip',
  'audio/x-wav': 'audio/wav',
  'audio/wave': 'audio/wav',
  'audio/vnd.wave': 'audio/wav',
  'audio/mp3': 'audio/mpeg',
  'text/xml': 'application/xml',
  'text/rtf': 'application/rtf',
}
const plain = (type: string): string => aliases[type] ?? type

/** Containers in which several types come: the signature says which container, the sender what is in it. */
const containers: readonly ((type: string) => boolean)[] = [
  (type) => /^(?:audio|video)\/(?:mp4|quicktime|x-m4[av]|3gpp2?|mpeg)$/.test(type),
  (type) => /^(?:audio|video)\/(?:webm|matroska|x-matroska)$/.test(type),
  (type) => /^(?:audio|video|application)\/ogg(?:;.*)?$/.test(type) || type === 'audio/opus',
  (type) => /^image\/hei[cf](?:-sequence)?$/.test(type),
]

/** Documents that are archives, and those of old office programs: a part of their signatures is too far in to be seen. */
const isInZip = (type: string): boolean =>
  /[.+-]zip$|^application\/(?:java-archive|vnd\.(?:android\.package-archive|openxmlformats-officedocument\.|oasis\.opendocument\.|ms-[a-z]+\..*macroenabled))/.test(
    type,
  )
const isInCompoundFile = (type: string): boolean =>
  /^application\/(?:msword|x-msi|vnd\.(?:ms-(?:excel|powerpoint|outlook|project|works)|visio))$/.test(type)

const isTextual = (type: string): boolean =>
  /^text\/|[+/](?:json|xml|yaml)$/.test(type) ||
  /^application\/(?:x-)?(?:javascript|ecmascript|typescript|sh|sql|toml|ndjson|jsonl|pem-file|rtf|postscript|graphql)$/.test(
    type,
  )

/** The type to keep. Throws 422 where what was declared is not what came. */
export async function mediaTypeOf(declared: string, sample: Buffer): Promise<string> {
  if (!mediaType.test(declared)) throw typeMalformed()
  const said = plain(declared)
  const found = (await signatureOf(sample)) ?? (looksLikeText(sample) ? null : unknown)
  if (said === unknown) return found ?? (sample.length === 0 ? unknown : 'text/plain')
  if (isTextual(said)) {
    if (found === null || isTextual(found)) return declared
    throw typeDiffers(declared, found)
  }
  if (found !== null && found !== unknown) {
    if (isSame(said, found)) return declared
    throw typeDiffers(declared, found)
  }
  // It has a signature, and this file does not.
  if (sample.length > 0 && (supportedMimeTypes as ReadonlySet<string>).has(said)) {
    throw typeDiffers(declared, found ?? 'text/plain')
  }
  return declared
}

/** Null: none that is known. A file that only looks like one is no reason to fail. */
async function signatureOf(sample: Buffer): Promise<string | null> {
  const found = await fileTypeFromBuffer(sample).catch(() => undefined)
  return found === undefined ? null : plain(found.mime.split(';', 1)[0] ?? found.mime)
}

function isSame(said: string, found: string): boolean {
  return (
    said === found ||
    containers.some((holds) => holds(said) && holds(found)) ||
    ((found === 'application/zip' || isInZip(found)) && isInZip(said)) ||
    (said === 'application/zip' && isInZip(found)) ||
    (found === 'application/x-cfb' && isInCompoundFile(said))
  )
}

/** No control characters but those of texts, in UTF-8 or whatever else continues ASCII; or UTF-16 with its mark. */
function looksLikeText(sample: Buffer): boolean {
  if (sample[0] === 0xff && sample[1] === 0xfe) return true
  if (sample[0] === 0xfe && sample[1] === 0xff) return true
  return sample.every((byte) => byte >= 0x20 || (byte >= 0x08 && byte <= 0x0d) || byte === 0x1b)
}
