import type { PersonLooking } from '../api/presence.ts'
import { useOthersAt } from '../live/presence.ts'
import { listed } from '../words/formats.ts'
import { region, say } from '../words/say.ts'

/** So many are named; of the others there is a number. */
const mostNamed = 2

/** A name is text of its own direction within the sentence. */
const nameOf = ({ name }: PersonLooking): string => `\u2068${name ?? say('person.someone')}\u2069`

function sentence(people: readonly PersonLooking[]): string {
  const more = people.length - mostNamed
  const names = people.slice(0, mostNamed).map(nameOf)
  return say('presence.looking', {
    count: people.length,
    names: listed(region(), more > 0 ? [...names, say('presence.more', { count: more })] : names),
  })
}

/** The first letters of the first and the last word, by what a reader sees as a letter. */
export function initialsOf(name: string): string {
  const words = name.trim().split(/\s+/)
  const first = (word: string | undefined): string => [...new Intl.Segmenter().segment(word ?? '')][0]?.segment ?? ''
  return `${first(words[0])}${words.length > 1 ? first(words.at(-1)) : ''}`.toUpperCase()
}

/** Who else looks at it, in a row of the list. */
export function PresenceMark({ id }: { readonly id: string }) {
  const people = useOthersAt(id)
  const [person] = people
  if (person === undefined) return null
  return (
    <span className="ms-auto flex shrink-0 items-center gap-1" title={sentence(people)}>
      <span
        aria-hidden="true"
        className="grid h-4 min-w-4 place-items-center rounded-full border border-line-strong px-1 font-medium text-[10px]/[14px] text-ink"
      >
        <bdi>{initialsOf(person.name ?? say('person.someone'))}</bdi>
      </span>
      {people.length > 1 ? (
        <span aria-hidden="true" className="tabular">
          {say('presence.more', { count: people.length - 1 })}
        </span>
      ) : null}
      <span className="sr-only">{sentence(people)}</span>
    </span>
  )
}

/** The same beside the card. It is there before anybody comes, so that assistive technology tells it. */
export function PresenceLine({ id }: { readonly id: string }) {
  const people = useOthersAt(id)
  const text = people.length === 0 ? '' : sentence(people)
  return (
    <p role="status" title={text} className="min-w-0 truncate text-mute text-small">
      {text}
    </p>
  )
}
