import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'

export interface ReceivedEvent {
  readonly id: string
  readonly event: string
  readonly data: string
}

/** An open stream of server-sent events, as a client sees it. */
export interface OpenStream {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly events: readonly ReceivedEvent[]
  /** Everything that came. */
  text(): string
  /** Resolves when the service ends it. */
  readonly ended: Promise<void>
  close(): void
}

/** Opens one; resolves once the head is there. */
export async function openStream(
  url: string,
  token: string | null,
  headers: Readonly<Record<string, string>> = {},
): Promise<OpenStream> {
  const call = get(url, {
    headers: { ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...headers },
    agent: false,
  })
  const [response] = (await once(call, 'response')) as [IncomingMessage]
  const events: ReceivedEvent[] = []
  let text = ''
  let all = ''
  response.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    all += chunk
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const fields = block.split('\n').map((line) => line.split(/: ?(.*)/s) as [string, string])
      const named = (name: string) => fields.filter(([field]) => field === name).map(([, value]) => value)
      const [id] = named('id')
      const [event] = named('event')
      if (event !== undefined) events.push({ id: id ?? '', event, data: named('data').join('\n') })
    }
  })
  const ended = new Promise<void>((resolve) => response.once('close', resolve))
  response.on('error', () => {})
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    events,
    text: () => all,
    ended,
    close: () => call.destroy(),
  }
}
