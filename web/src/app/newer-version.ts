/** When this tab was last loaded again for a newer version. */
const storedAs = 'hitl-reloaded-at'
const onceInMs = 60_000

/** Parts of a page that was built before the service was updated are gone: the page is loaded again, and not again and again. */
export function loadNewerVersions(): void {
  addEventListener('vite:preloadError', (event) => {
    const last = Number(sessionStorage.getItem(storedAs) ?? 0)
    if (Date.now() - last < onceInMs) return
    sessionStorage.setItem(storedAs, String(Date.now()))
    event.preventDefault()
    location.reload()
  })
}
