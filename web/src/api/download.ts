import { publicPath } from './public-path.ts'
import { type Problem, Refused } from './refused.ts'
import { fetchConfirmed } from './step-up.ts'

/** Saves what the service replies to a GET as a file: a link could not carry the access token. */
export async function download(path: string, fileName: string): Promise<void> {
  const reply = await fetchConfirmed(new Request(`${publicPath}${path}`))
  if (!reply.ok) throw new Refused(reply.status, (await reply.json().catch(() => ({}))) as Partial<Problem>)
  const address = URL.createObjectURL(await reply.blob())
  const link = document.createElement('a')
  link.href = address
  link.download = fileName
  link.click()
  // The browser has taken the file over by then.
  setTimeout(() => URL.revokeObjectURL(address), 60_000)
}
