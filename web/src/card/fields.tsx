import { say } from '../words/say.ts'
import { type FieldsProps, hintOf, isRecord, labelOf, pointerTo } from './hints.ts'
import { Value } from './value.tsx'
import { VisibleText } from './visible-text.tsx'

/** More of them would hide what matters; the raw JSON has them all. */
const mostFields = 200

/** The members of an object, each with its label. */
export function Fields({ value, pointer, hints, depth = 0 }: FieldsProps) {
  const entries = Object.entries(value)
  return (
    <>
      <dl
        className={`grid gap-x-4 gap-y-1.5 ${depth === 0 ? 'grid-cols-[minmax(84px,120px)_minmax(0,1fr)] wide:grid-cols-[120px_minmax(0,1fr)]' : 'grid-cols-[auto_minmax(0,1fr)]'}`}
      >
        {entries.slice(0, mostFields).map(([name, member]) => {
          const at = pointerTo(pointer, name)
          const hint = hintOf(hints, at)
          return (
            <div key={name} className="contents">
              <dt className="min-w-0 break-words text-mute" title={name}>
                <bdi>
                  <VisibleText text={hint?.label ?? labelOf(name)} />
                </bdi>
              </dt>
              <dd className="tabular min-w-0 break-words">
                <Value
                  value={member}
                  pointer={at}
                  hints={hints}
                  depth={depth}
                  nested={isRecord(member) ? Fields : null}
                />
              </dd>
            </div>
          )
        })}
      </dl>
      {entries.length > mostFields ? (
        <p className="mt-2 text-mute text-small">{say('card.more_fields', { count: entries.length - mostFields })}</p>
      ) : null}
    </>
  )
}
