import type { Queryable, Tx } from '../platform/database/db.ts'
import type { Change, Consultation, ConsultationCore } from './consultation.ts'
import { isHeld } from './consultation.ts'
import type { AddedFile, FoundFile } from './questions/answer-files.ts'
import * as store from './store.ts'

/** The files of answers: what another module keeps, and what an answer makes of them in its own transaction. */

/** Files that one person named in an answer to one request. */
export interface NamedFiles {
  readonly requestId: string
  readonly userId: string
  readonly ids: readonly string[]
}

export interface KeptFile extends FoundFile {
  readonly requestId: string
  readonly addedById: string
}

export interface AnswerFiles {
  /** Finished files that people added; `locked` until the transaction ends. */
  find(db: Queryable, organizationId: string, ids: readonly string[], locked: boolean): Promise<readonly KeptFile[]>
  /** They are part of an answer: they stay. */
  seal(tx: Tx, organizationId: string, ids: readonly string[], at: Date): Promise<void>
  /** Their answer is void: they are a person's own again, and go after a while. */
  free(tx: Tx, organizationId: string, ids: readonly string[], at: Date): Promise<void>
}

/** Looks up the files that some answers name, together. Returns which of them an answer may use. */
export async function findFiles(
  files: AnswerFiles,
  db: Queryable,
  organizationId: string | undefined,
  named: readonly NamedFiles[],
  locked: boolean,
): Promise<(of: NamedFiles) => readonly FoundFile[]> {
  const ids = [...new Set(named.flatMap((one) => one.ids))]
  const found =
    organizationId === undefined || ids.length === 0 ? [] : await files.find(db, organizationId, ids, locked)
  return (of) =>
    found.filter(
      ({ requestId, addedById, file }) =>
        requestId === of.requestId && addedById === of.userId && of.ids.includes(file.id),
    )
}

/** Saves changes together with what becomes of the files of their answers. */
export async function saveWithFiles(
  files: AnswerFiles,
  tx: Tx,
  changes: readonly Change<ConsultationCore>[],
): Promise<void> {
  const saving: Promise<void>[] = [store.save(tx, changes)]
  for (const [organizationId, its] of Map.groupBy(changes, ({ after }) => after.organizationId)) {
    // Acts that are committed together may have used a file, given it back and used it again: the last of them counts.
    const uses = new Map<string, { readonly at: Date; readonly isVoid: boolean }>()
    for (const { attachments, respondedAt, voidedAt } of its.flatMap(({ answers = [] }) => answers)) {
      const use = { at: voidedAt ?? respondedAt, isVoid: voidedAt !== undefined }
      if (attachments !== null) for (const { id } of JSON.parse(attachments) as AddedFile[]) uses.set(id, use)
    }
    for (const [key, ids] of Map.groupBy(uses.keys(), (id) => JSON.stringify(uses.get(id)))) {
      const { at, isVoid } = JSON.parse(key) as { readonly at: string; readonly isVoid: boolean }
      const change = isVoid ? files.free : files.seal
      saving.push(change(tx, organizationId, ids, new Date(at)))
    }
  }
  await Promise.all(saving)
}

/** The ids of files that its agent must not know of yet: those of a decision that is held back. */
export function withheldFiles(consultation: Consultation): readonly string[] {
  const { response } = consultation
  if (!isHeld(consultation) || response === null || response.attachments === null) return []
  return (JSON.parse(response.attachments) as readonly AddedFile[]).map(({ id }) => id)
}
