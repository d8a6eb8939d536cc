import { startSession } from '../api/session.ts'

/** Once, before the first page: who is signed in. While nothing answers, what that person saw last is shown. */
export async function start(): Promise<void> {
  try {
    await startSession()
  } catch (error) {
    const isShown = await import('../offline/kept.ts').then(({ restore }) => restore()).catch(() => false)
    if (!isShown) throw error
  }
}
