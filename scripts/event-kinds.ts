// Writes docs/events.md from the list of event kinds: `npm run event-kinds`. With --check it only compares.
import { type EventKind, eventKinds } from '../server/src/facts/kinds.ts'
import { generated } from './generated.ts'

const kinds = Object.entries(eventKinds) as readonly (readonly [EventKind, string])[]
const bySubject = Map.groupBy(kinds, ([kind]) => kind.slice(0, kind.indexOf('.')))
const sections = [...bySubject].map(
  ([subject, some]) =>
    `## ${subject}\n\n| kind | meaning |\n|---|---|\n${some.map(([kind, meaning]) => `| \`${kind}\` | ${meaning} |\n`).join('')}`,
)

const text = `# Events

Every change is one event in the audit: who did what to which subject, when, and what it was before and after. These are
all kinds of events there are. How they are sealed, exported and kept is in [audit.md](audit.md).

<!-- Made from server/src/facts/kinds.ts by "npm run event-kinds". -->

${sections.join('\n')}`

await generated('docs/events.md', text, 'event-kinds')
