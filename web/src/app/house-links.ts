import type { Word } from '../words/say.ts'

/** Pages besides the queues, in the order of the navigation. A new page is a route in routes.tsx and a line here. */
export const houseLinks: readonly { readonly to: '/settings'; readonly label: Word }[] = [
  { to: '/settings', label: 'nav.settings' },
]
