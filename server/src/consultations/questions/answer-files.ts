import type { JsonText } from '../../platform/json.ts'
import type { FieldError } from '../../platform/problem.ts'

/** Files that an answer may have: what is asked for, and whether those that it names are right. */

export const mostFiles = 10

/** A media type, or all subtypes of a type (RFC 6838, 4.2). */
export const mediaRange = '^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/(?:\\*|[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*)$'

/** As it is on the wire. */
export interface FilesAsked {
  readonly min?: number
  readonly max?: number
  readonly media_types?: readonly string[]
}

/** A file that the person who answers added to the request. */
export interface AddedFile {
  readonly id: string
  readonly name: string
  readonly media_type: string
  readonly size: number
  readonly sha256: string
}

/** A file that was found, and whether an answer has it already. */
export interface FoundFile {
  readonly file: AddedFile
  readonly isTaken: boolean
}

export const fileCounts = ({ min = 0, max = mostFiles }: FilesAsked) => ({ least: min, most: max })

/** What contradicts itself in what is asked for. */
export function filesAskedErrors(asked: FilesAsked): readonly FieldError[] {
  const { least, most } = fileCounts(asked)
  return least > most ? [{ path: 'answer.attachments.min', message: `must be ${most} or less` }] : []
}

/** `found`: those of `ids` that this person added to this request. `needsNone`: the answer refuses. */
export function fileErrors(
  asked: FilesAsked | null,
  ids: readonly string[] | null,
  found: readonly FoundFile[],
  needsNone: boolean,
): readonly FieldError[] {
  const at = 'attachments'
  if (asked === null) return ids === null ? [] : [{ path: at, message: 'was not asked for: leave it out' }]
  const { least, most } = fileCounts(asked)
  const count = ids?.length ?? 0
  const files = (number: number): string => `${number} ${number === 1 ? 'file' : 'files'}`
  const counted =
    count > most
      ? [{ path: at, message: `must have at most ${files(most)}` }]
      : count < least && !(needsNone && count === 0)
        ? [
            {
              path: at,
              message: count === 0 ? `is required: at least ${files(least)}` : `must have at least ${files(least)}`,
            },
          ]
        : []
  const byId = new Map(found.map((one) => [one.file.id, one]))
  const flaws = (ids ?? []).flatMap((id, place, all) => {
    const message = all.indexOf(id) < place ? 'is there twice: name it once' : flawOf(asked, byId.get(id))
    return message === null ? [] : [{ path: `${at}.${place}`, message }]
  })
  return [...counted, ...flaws]
}

function flawOf({ media_types: types }: FilesAsked, found: FoundFile | undefined): string | null {
  if (found === undefined) return 'is not a file that you added to this request for your answer'
  if (found.isTaken) return 'is part of an answer already: add the file again'
  const { media_type: type } = found.file
  if (types === undefined || types.some((range) => isIn(type, range.toLowerCase()))) return null
  return `must be of ${types.length === 1 ? 'the type' : 'one of the types'} ${types.join(', ')}; the file is ${type}`
}

const isIn = (type: string, range: string): boolean =>
  range.endsWith('/*') ? type.startsWith(range.slice(0, -1)) : type === range

/** The files that an answer names, in that order, as its row and its certificate have them; null: none. */
export function filesText(ids: readonly string[] | null, found: readonly FoundFile[]): JsonText | null {
  const byId = new Map(found.map(({ file }) => [file.id, file]))
  const files = (ids ?? []).flatMap((id) => byId.get(id) ?? [])
  return files.length === 0 ? null : (JSON.stringify(files) as JsonText)
}
