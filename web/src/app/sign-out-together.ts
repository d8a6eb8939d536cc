import { publicPath } from '../api/public-path.ts'
import { session, signedOut } from '../api/session.ts'

/** All tabs have the same session, so one that was signed out of in this tab is over in the others. */
export function signOutTogether(): void {
  const channel = new BroadcastChannel(`hitl-signed-out ${publicPath}`)
  let who = session.who()
  channel.onmessage = ({ data }) => {
    if (data === session.who()) signedOut()
  }
  session.subscribe(() => {
    if (who !== null && session.get().status === 'signed-out') channel.postMessage(who)
    who = session.who()
  })
}
