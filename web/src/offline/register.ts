import { publicPath } from '../api/public-path.ts'

/** Behind the first page, which has the connection for itself. */
const afterMs = 3_000

/** Keeps the files of the page for the time without a connection. Browsers allow it over HTTPS, and on this very machine. */
export function keepShell(): void {
  if (!('serviceWorker' in navigator) || import.meta.env.DEV) return
  setTimeout(() => {
    navigator.serviceWorker.register(`${publicPath}/service-worker.js`).catch(() => undefined)
  }, afterMs)
}
