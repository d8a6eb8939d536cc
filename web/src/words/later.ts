import english from './en.json?later' with { type: 'json' }
import { i18n } from './say.ts'

// Imported by each page that is loaded later and uses such words (web/test/words.test.ts), so they are there before it is drawn.
i18n.load('en', english)
