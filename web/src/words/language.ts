import { i18n, region } from './say.ts'

/** Each by the name that its readers give it, so that it is found also in a language one does not read. */
export const languages = { en: 'English', de: 'Deutsch', ar: 'العربية' } as const
export type Language = keyof typeof languages

const isLanguage = (name: string): name is Language => Object.hasOwn(languages, name)

/** The words of every language but English, which comes with the page, are loaded only when it is chosen. */
const translations: { readonly [L in Exclude<Language, 'en'>]: () => Promise<{ default: Record<string, string> }> } = {
  de: () => import('./de.json?all'),
  ar: () => import('./ar.json?all'),
}

/** What a person chose, or the first language of their browser that the inbox has. */
export const languageFor = (chosen: 'system' | Language, browser: readonly string[]): Language =>
  chosen === 'system' ? (browser.map((each) => each.split('-')[0] ?? '').find(isLanguage) ?? 'en') : chosen

/** Before the first paint. A page that cannot get the words is shown in English: it can still be used. */
export async function speak(chosen: 'system' | Language): Promise<void> {
  const language = languageFor(chosen, navigator.languages)
  if (language !== 'en') {
    try {
      const { default: messages } = await translations[language]()
      i18n.loadAndActivate({ locale: language, messages })
    } catch {
      // Offline, or the service was updated: the next visit has the words.
    }
  }
  i18n.activate(i18n.locale, region())
  document.documentElement.lang = i18n.locale
  document.documentElement.dir = i18n.locale === 'ar' ? 'rtl' : 'ltr'
}
