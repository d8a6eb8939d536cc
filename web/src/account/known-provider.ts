import { publicPath } from '../api/public-path.ts'

/** The identity provider that this browser signed in through: nobody but a member may know which ones there are. */
const storedAs = `hitl-provider${publicPath}`
const shape = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export function knownProvider(): string | null {
  try {
    const id = localStorage.getItem(storedAs)
    return id !== null && shape.test(id) ? id : null
  } catch {
    return null
  }
}

export function rememberProvider(id: string): void {
  if (!shape.test(id)) return
  try {
    localStorage.setItem(storedAs, id)
  } catch {
    // Full or forbidden: the link to the provider works all the same.
  }
}

/** Where a browser begins to sign in through it, and comes back to a page of ours. */
export function startOf(id: string, to: string): string {
  return `${publicPath}/api/v1/auth/sso/${id}/start?${new URLSearchParams({ return_to: publicPath + to })}`
}
