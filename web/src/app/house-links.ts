import { mayAudit } from '../api/person.ts'
import type { User } from '../api/session.ts'
import type { Word } from '../words/say.ts'

interface HouseLink {
  readonly to: '/overview' | '/callbacks' | '/audit' | '/settings'
  readonly label: Word
  /** Left out: everybody. */
  readonly isFor?: (user: User) => boolean
}

/** Pages besides the queues, in the order of the navigation. A new page is a route in routes.tsx and a line here. */
export const houseLinks: readonly HouseLink[] = [
  { to: '/overview', label: 'nav.overview' },
  { to: '/callbacks', label: 'nav.callbacks' },
  { to: '/audit', label: 'nav.audit', isFor: mayAudit },
  { to: '/settings', label: 'nav.settings' },
]
