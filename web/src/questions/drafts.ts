import { useSyncExternalStore } from 'react'
import type { Schemas } from '../api/client.ts'
import { asksForMore, isRefusal, questionOf } from './question.ts'

type Request = Schemas['Request']
type Answer = Schemas['Answer']

/** An answer that a person has begun: what they chose, filled in and changed, until it is sent. */
export interface Draft {
  readonly choices: readonly string[] | null
  readonly data: unknown
  /** Those that the person added, which the service has already. */
  readonly files: readonly Schemas['Attachment'][]
  /** One is on its way. */
  readonly isAdding: boolean
  /** The edited arguments; null while they are as proposed. */
  readonly args: unknown
  /** What was written so far beside each decision. */
  readonly comments: Readonly<Record<string, string>>
  /** By the pointer of what is wrong, such as /data/city; shown since somebody tried to send it. */
  readonly flaws: ReadonlyMap<string, string>
  /** The arguments are open for editing. */
  readonly isEditing: boolean
}

const untouched: Draft = {
  choices: null,
  data: null,
  files: [],
  isAdding: false,
  args: null,
  comments: {},
  flaws: new Map(),
  isEditing: false,
}
const drafts = new Map<string, Draft>()
const listeners = new Set<() => void>()

/** A new revision asks anew. */
export const draftKey = ({ id, revision }: Pick<Request, 'id' | 'revision'>): string => `${id} ${revision}`

export const draftOf = (key: string): Draft => drafts.get(key) ?? untouched

export function change(key: string, changes: Partial<Draft>): void {
  drafts.set(key, { ...draftOf(key), ...changes })
  for (const listener of listeners) listener()
}

export const forget = (key: string): void => {
  drafts.delete(key)
}

/** A new revision takes over what was written, and the answers to questions that it asks in the same way. */
export function carryOver(before: Request, after: Request): void {
  const draft = drafts.get(draftKey(before))
  if (draft === undefined) return
  const [was, is] = [questionOf(before), questionOf(after)]
  const same = (part: keyof typeof was): boolean => JSON.stringify(was[part]) === JSON.stringify(is[part])
  change(draftKey(after), {
    comments: draft.comments,
    ...(same('options') ? { choices: draft.choices } : {}),
    ...(same('form') && draft.data !== null ? { data: draft.data } : {}),
    ...(same('files') ? { files: draft.files } : {}),
    ...(same('editable') ? { args: draft.args, isEditing: draft.isEditing } : {}),
  })
  drafts.delete(draftKey(before))
}

/** Another person does not go on with them. */
export function forgetDrafts(): void {
  drafts.clear()
  for (const listener of listeners) listener()
}

export const isUntouched = (key: string): boolean => !drafts.has(key)

export function watchDrafts(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const useDraft = (key: string): Draft => useSyncExternalStore(watchDrafts, () => draftOf(key))

/** What is wrong with a draft, by pointer. */
export type Checker = (draft: Draft) => ReadonlyMap<string, string>

/** Set by the panel that draws the question, because the rules weigh more than the first page may. */
const checkers = new Map<string, Checker>()

export function withChecker(key: string, checker: Checker): () => void {
  checkers.set(key, checker)
  return () => checkers.delete(key)
}

export type Prepared =
  | { readonly members: Partial<Answer> }
  /** `drawing`: the question is not on the screen yet, so nothing can be sent. */
  | { readonly refused: 'drawing' | 'flawed' }

/** The members of the answer beside decision and comment; marks what is wrong, and goes to the first of it. */
export function prepare(request: Request, decision: string | null): Prepared {
  const question = questionOf(request)
  if (!asksForMore(request)) return { members: {} }
  const key = draftKey(request)
  // A refusal leaves out what only an approval needs.
  if (isRefusal(decision)) {
    change(key, { flaws: new Map() })
    return { members: {} }
  }
  const checker = checkers.get(key)
  if (checker === undefined) return { refused: 'drawing' }
  const draft = draftOf(key)
  const flaws = checker(draft)
  change(key, { flaws })
  if (flaws.size > 0) {
    focusFirst()
    return { refused: 'flawed' }
  }
  return {
    members: {
      ...(question.options === null || draft.choices === null ? {} : { choices: [...draft.choices] }),
      ...(question.form === null ? {} : { data: draft.data as Record<string, unknown> }),
      ...(draft.files.length === 0 ? {} : { attachments: draft.files.map(({ id }) => id) }),
      ...(draft.args === null ? {} : { args: draft.args as Record<string, unknown> }),
    },
  }
}

/** The option that asks for a comment, if one of these was chosen. */
export function commentedOption(request: Request): string | null {
  const { options } = questionOf(request)
  const chosen = draftOf(draftKey(request)).choices ?? []
  return options?.items.find(({ id, needsComment }) => needsComment && chosen.includes(id))?.label ?? null
}

/** The arguments are not those that the agent proposed. */
export const isEdited = (request: Pick<Request, 'id' | 'revision'>): boolean => draftOf(draftKey(request)).args !== null

/** Once the errors are drawn. */
function focusFirst(): void {
  requestAnimationFrame(() => {
    const wrong = document.querySelector<HTMLElement>('[data-question] :is([aria-invalid=true], [data-invalid=true])')
    wrong?.focus()
    wrong?.scrollIntoView({ block: 'center' })
  })
}

/** Opens the arguments, and goes to the first of them. */
export function editArgs(request: Pick<Request, 'id' | 'revision'>): void {
  change(draftKey(request), { isEditing: true })
  requestAnimationFrame(() => document.querySelector<HTMLElement>('[data-args] :is(input, textarea, select)')?.focus())
}
