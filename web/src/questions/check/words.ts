import { say, type Word } from '../../words/say.ts'

/** What is wrong at a place of an answer; `message` goes on from the field's name, as the service's own does. */
export interface Flaw {
  readonly place: readonly (string | number)[]
  readonly message: string
}

export type FlawWord = Extract<Word, `flaw.${string}`>
export const flaw = (word: FlawWord, values?: Readonly<Record<string, string | number>>): string => say(word, values)
