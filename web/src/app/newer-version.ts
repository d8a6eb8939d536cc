/** When this tab was last loaded again for a newer version. */
const storedAs = 'hitl-reloaded-at'
const onceInMs = 60_000

/**
 * Parts of a page that was built before the service was updated are gone: the page is loaded again, and not again and again. One
 * that is not there because nothing answers is no reason: what is shown stays readable, and would be lost.
 */
export function loadNewerVersions(): void {
  addEventListener('vite:preloadError', async () => {
    const last = Number(sessionStorage.getItem(storedAs) ?? 0)
    if (Date.now() - last < onceInMs || !(await answers())) return
    sessionStorage.setItem(storedAs, String(Date.now()))
    location.reload()
  })
}

async function answers(): Promise<boolean> {
  try {
    return (await fetch(location.href, { cache: 'no-store' })).ok
  } catch {
    return false
  }
}
