import { useState } from 'react'

const storedAs = (): string => `hitl-link:${location.pathname}`

/**
 * A mailed link has its token after the #, which browsers never send, so it is in no access log and no Referer. This tab keeps
 * it while the person signs in elsewhere first.
 */
export function useLinkToken(): string {
  const [token] = useState(() => {
    const inAddress = decodeURIComponent(location.hash.slice(1))
    if (inAddress !== '') sessionStorage.setItem(storedAs(), inAddress)
    return inAddress === '' ? (sessionStorage.getItem(storedAs()) ?? '') : inAddress
  })
  return token
}

/** So that a used link is not in the history. */
export function forgetLinkToken(): void {
  sessionStorage.removeItem(storedAs())
  history.replaceState(history.state, '', location.pathname)
}
