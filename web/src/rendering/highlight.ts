import { createCssVariablesTheme, createHighlighterCore, type HighlighterCore } from '@shikijs/core'
import { createJavaScriptRegexEngine } from '@shikijs/engine-javascript'
import type { Language } from './language.ts'

/** Loaded when code is shown. The engine is JavaScript's own, because one in WebAssembly needs more of the page's policy. */
export interface Token {
  readonly content: string
  readonly color?: string | undefined
}

const theme = createCssVariablesTheme({ name: 'ours', variablePrefix: '--code-', fontStyle: false })

let highlighter: Promise<HighlighterCore> | null = null

const grammars: Readonly<Record<Language, () => Promise<unknown>>> = {
  sql: () => import('@shikijs/langs/sql'),
  shellscript: () => import('@shikijs/langs/shellscript'),
  json: () => import('@shikijs/langs/json'),
  yaml: () => import('@shikijs/langs/yaml'),
  typescript: () => import('@shikijs/langs/typescript'),
  javascript: () => import('@shikijs/langs/javascript'),
  tsx: () => import('@shikijs/langs/tsx'),
  python: () => import('@shikijs/langs/python'),
  go: () => import('@shikijs/langs/go'),
  rust: () => import('@shikijs/langs/rust'),
  java: () => import('@shikijs/langs/java'),
  css: () => import('@shikijs/langs/css'),
  xml: () => import('@shikijs/langs/xml'),
  hcl: () => import('@shikijs/langs/hcl'),
  toml: () => import('@shikijs/langs/toml'),
  ini: () => import('@shikijs/langs/ini'),
  dockerfile: () => import('@shikijs/langs/dockerfile'),
}

/** A line longer than this is not looked at: its expressions would hold up the page. */
const longestLine = 1_000
const longestMs = 100

/** The text in lines of coloured parts. */
export async function tokensOf(text: string, language: Language): Promise<readonly (readonly Token[])[]> {
  highlighter ??= createHighlighterCore({
    themes: [theme],
    langs: [],
    engine: createJavaScriptRegexEngine({ forgiving: true }),
  })
  const [shared, grammar] = await Promise.all([highlighter, grammars[language]()])
  if (!shared.getLoadedLanguages().includes(language)) await shared.loadLanguage(grammar as never)
  return shared.codeToTokensBase(text, {
    lang: language,
    theme: 'ours',
    tokenizeMaxLineLength: longestLine,
    tokenizeTimeLimit: longestMs,
  })
}
