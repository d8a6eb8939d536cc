import { say } from '../words/say.ts'
import { AgentText } from './agent-text.tsx'
import { Link } from './link.tsx'
import { webUrl } from './shape.ts'

/** Pictures of dots only: a drawing in SVG may look like a part of the page, and name other addresses. */
const inline = /^data:image\/(?:png|jpeg|gif|webp|avif);base64,[A-Za-z0-9+/]+=*$/
const mostCharacters = 8_000_000

export const isPicture = (value: unknown): value is string =>
  typeof value === 'string' && value.length <= mostCharacters && inline.test(value)

/** A picture that is in the request. One that is elsewhere is a link: loading it would tell its host who looks, and when. */
export function ImageView({ value, label }: { readonly value: string; readonly label: string }) {
  const url = webUrl(value)
  if (url !== null) {
    return (
      <span>
        <Link url={url} /> <span className="text-mute text-small">{say('shown.image_elsewhere')}</span>
      </span>
    )
  }
  return (
    <figure className="max-w-prose rounded-box border border-line p-2">
      <img src={value} alt={say('shown.image_of', { name: label })} className="max-h-96 max-w-full" />
      <figcaption className="mt-1 text-mute text-small">
        <AgentText text={label} />
      </figcaption>
    </figure>
  )
}
