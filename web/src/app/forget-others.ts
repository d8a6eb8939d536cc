import { queryClient } from '../api/query-client.ts'
import { session } from '../api/session.ts'
import { forgetMany } from '../bulk/many.ts'
import { forgetDecisions } from '../deciding/decisions.ts'
import { forgetLooked } from '../inbox/looked.ts'
import { forgetPresence } from '../live/presence.ts'
import { forgetDrafts } from '../questions/drafts.ts'
import { forgetAside } from '../snoozing/aside.ts'

/** What one person read, decided and began in this tab is not the next one's to see, in another organization neither. */
export function forgetOthers(): void {
  let who = session.who()
  session.subscribe(() => {
    if (session.who() === who) return
    who = session.who()
    queryClient.clear()
    forgetDecisions()
    forgetDrafts()
    forgetAside()
    forgetMany()
    forgetPresence()
    forgetLooked()
  })
}
