import { say } from '../words/say.ts'
import { AgentText } from './agent-text.tsx'

/** A link that somebody else chose: its host is shown, whatever its text says, and it learns nothing of where it was followed. */
export function Link({ url, text }: { readonly url: URL; readonly text?: string }) {
  const host = hostOf(url)
  const path = shortened(`${decoded(url.pathname)}${url.search}${url.hash}`)
  const isUnsafe = url.protocol === 'http:'
  return (
    <span className="wrap-anywhere">
      <a
        href={url.href}
        target="_blank"
        rel="noopener noreferrer nofollow"
        title={url.href}
        className="text-accent underline decoration-1 underline-offset-2"
      >
        {text === undefined ? (
          <bdi dir="ltr">
            <AgentText text={host} />
            {path === '/' ? null : <AgentText text={path} />}
          </bdi>
        ) : (
          <AgentText text={text} />
        )}
        <span aria-hidden="true">{' \u2197'}</span>
        <span className="sr-only">{say('link.new_tab')}</span>
      </a>
      {text === undefined ? null : (
        <span className="text-mute">
          {' ('}
          <AgentText text={host} />
          {')'}
        </span>
      )}
      {isUnsafe ? <span className="text-high text-small"> {say('link.not_encrypted')}</span> : null}
      {url.username === '' ? null : <span className="text-critical text-small"> {say('link.has_user')}</span>}
    </span>
  )
}

/** As it is spoken to: what looks like one name and is another shows as xn--. */
const hostOf = (url: URL): string => (url.protocol === 'mailto:' ? url.pathname : url.host)

const longest = 80
const shortened = (path: string): string => (path.length > longest ? `${path.slice(0, longest)}…` : path)

function decoded(path: string): string {
  try {
    return decodeURI(path)
  } catch {
    return path
  }
}
