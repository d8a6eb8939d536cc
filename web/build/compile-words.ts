import { compileMessage } from '@lingui/message-utils/compileMessage'
import type { Plugin } from 'vite'

/** Turns the ICU messages of words/*.json into what Lingui evaluates, so that the browser needs no parser of messages. */
export function compileWords(): Plugin {
  return {
    name: 'compile-words',
    enforce: 'pre',
    transform(code, id) {
      if (!/\/src\/words\/[\w-]+\.json$/.test(id)) return null
      const compiled = Object.entries(JSON.parse(code) as Record<string, string>).map(([name, message]) => [
        name,
        compileMessage(message),
      ])
      return { code: JSON.stringify(Object.fromEntries(compiled)), map: null }
    },
  }
}
