import { compileMessage } from '@lingui/message-utils/compileMessage'
import type { Plugin } from 'vite'
import { isLater } from '../src/words/areas.ts'

/**
 * Turns the ICU messages of words/*.json into what Lingui evaluates, so that the browser needs no
 * parser of messages. `?first` and `?later` are the two parts of a file (words/areas.ts), `?all` is the whole.
 */
export function compileWords(): Plugin {
  return {
    name: 'compile-words',
    enforce: 'pre',
    transform(code, id) {
      const part = /\/src\/words\/[\w-]+\.json\?(first|later|all)$/.exec(id)?.[1]
      if (part === undefined) return null
      const compiled = Object.entries(JSON.parse(code) as Record<string, string>)
        .filter(([name]) => part === 'all' || isLater(name) === (part === 'later'))
        .map(([name, message]) => [name, compileMessage(message)])
      // As JavaScript, because an address with a question mark is not taken for JSON.
      const words = JSON.stringify(JSON.stringify(Object.fromEntries(compiled)))
      return { code: `export default JSON.parse(${words})`, map: null, moduleType: 'js' }
    },
  }
}
