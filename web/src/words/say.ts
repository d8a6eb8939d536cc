import { setupI18n } from '@lingui/core'
import type english from './en.json'
import first from './en.json?first' with { type: 'json' }

/** The name of a message of en.json. A translation has the same names (web/test/words.test.ts). */
export type Word = keyof typeof english

export const i18n = setupI18n()

// What is imported was compiled by the build (build/compile-words.ts).
i18n.loadAndActivate({ locale: 'en', messages: first })

/**
 * For dates and numbers: the reader's own region, where the browser names one of this language. Arabic has Latin digits in
 * every region, so that an amount looks the same in what an agent wrote and in what the inbox makes of it.
 */
export const region = (): string => {
  const own = navigator.languages.find((each) => each === i18n.locale || each.startsWith(`${i18n.locale}-`))
  return i18n.locale === 'ar' ? `${own ?? 'ar'}-u-nu-latn` : (own ?? i18n.locale)
}

/** The message in the reader's language. Its language is chosen before the first paint, and another one loads the page again. */
export function say(word: Word, values?: Readonly<Record<string, string | number>>): string {
  return i18n._(word, values as Record<string, string | number> | undefined)
}
