import { ArrowDown, ArrowUp, X } from 'lucide-react'
import { type KeyboardEvent, useRef } from 'react'
import { say } from '../words/say.ts'
import { ChoiceText, rowShape } from './form/choice-inputs.tsx'
import { Grouped } from './form/field-frame.tsx'
import { Small } from './form/form-field.tsx'
import type { Option, Options } from './question.ts'

export interface OptionsInputProps {
  readonly options: Options
  readonly chosen: readonly string[]
  readonly onChange: (chosen: readonly string[]) => void
  readonly flaw: string | undefined
}

const at = '/choices'

/** The choices of the agent: one, several, or an order. */
export function OptionsInput({ options, chosen, onChange, flaw }: OptionsInputProps) {
  const { mode, least, most, items } = options
  const field = { at, label: labelOf(options), about: null, isRequired: least > 0, flaw }
  if (mode === 'ranked') {
    return (
      <Grouped {...field}>
        <Ranking items={items} most={most} chosen={chosen} onChange={onChange} />
      </Grouped>
    )
  }
  const isSingle = mode === 'single'
  const toggle = (id: string, isChosen: boolean): void => {
    if (isSingle) onChange(isChosen ? [id] : [])
    else onChange(items.map((item) => item.id).filter((other) => (other === id ? isChosen : chosen.includes(other))))
  }
  return (
    <Grouped {...field}>
      <div className="grid gap-1.5">
        {items.map((item) => (
          <label key={item.id} className={rowShape}>
            <input
              type={isSingle ? 'radio' : 'checkbox'}
              name={at}
              checked={chosen.includes(item.id)}
              // What would be one too many is not taken, and says so by being dimmed.
              disabled={!isSingle && !chosen.includes(item.id) && chosen.length >= most}
              className="mt-0.5 accent-accent outline-none"
              onChange={({ target }) => toggle(item.id, target.checked)}
            />
            <OptionText item={item} />
          </label>
        ))}
      </div>
      {isSingle && least === 0 && chosen.length > 0 ? (
        <button type="button" className="justify-self-start text-accent text-small" onClick={() => onChange([])}>
          {say('form.clear')}
        </button>
      ) : null}
    </Grouped>
  )
}

function labelOf({ mode, least, most }: Options): string {
  if (mode === 'single') return say('options.single')
  if (mode === 'ranked')
    return least === most ? say('options.rank', { count: most }) : say('options.rank_up_to', { least, most })
  return least === most ? say('options.exactly', { count: most }) : say('options.several', { least, most })
}

function OptionText({ item: { label, description, needsComment } }: { readonly item: Option }) {
  return (
    <span className="min-w-0 flex-1">
      <ChoiceText choice={{ value: label, label, description }} />
      {needsComment ? <span className="block text-mute text-small">{say('options.needs_comment')}</span> : null}
    </span>
  )
}

interface RankingProps {
  readonly items: readonly Option[]
  readonly most: number
  readonly chosen: readonly string[]
  readonly onChange: (chosen: readonly string[]) => void
}

/** An order, the best first: what is pressed is added at its end; buttons, or Alt with an arrow, move it. */
function Ranking({ items, most, chosen, onChange }: RankingProps) {
  const list = useRef<HTMLOListElement>(null)
  const ranked = chosen.flatMap((id) => items.filter((item) => item.id === id))
  const others = items.filter(({ id }) => !chosen.includes(id))
  const focus = (id: string): void =>
    void requestAnimationFrame(() => list.current?.querySelector<HTMLElement>(`[data-id="${CSS.escape(id)}"]`)?.focus())
  const move = (from: number, to: number): void => {
    const id = chosen[from]
    const other = chosen[to]
    if (id === undefined || other === undefined) return
    onChange(chosen.with(from, other).with(to, id))
    focus(id)
  }
  const pressed = (event: KeyboardEvent, index: number): void => {
    if (!event.altKey || (event.key !== 'ArrowUp' && event.key !== 'ArrowDown')) return
    event.preventDefault()
    move(index, index + (event.key === 'ArrowUp' ? -1 : 1))
  }
  return (
    <>
      <ol ref={list} aria-label={say('options.ranked')} className="grid gap-1.5 empty:hidden">
        {ranked.map((item, index) => (
          <li key={item.id} className={`${rowShape} border-accent bg-chosen`}>
            <button
              type="button"
              data-id={item.id}
              className="flex min-w-0 flex-1 items-start gap-2.5 text-start"
              aria-description={say('options.move_hint')}
              onKeyDown={(event) => pressed(event, index)}
              onClick={() => onChange(chosen.toSpliced(index, 1))}
            >
              <span className="tabular w-5 shrink-0 font-semibold text-accent">{index + 1}</span>
              <OptionText item={item} />
            </button>
            <span className="flex">
              <Small
                label={say('form.up', { name: item.label })}
                isOff={index === 0}
                onClick={() => move(index, index - 1)}
              >
                <ArrowUp className="size-3.5" aria-hidden="true" />
              </Small>
              <Small
                label={say('form.down', { name: item.label })}
                isOff={index === ranked.length - 1}
                onClick={() => move(index, index + 1)}
              >
                <ArrowDown className="size-3.5" aria-hidden="true" />
              </Small>
              <Small
                label={say('form.remove', { name: item.label })}
                onClick={() => onChange(chosen.toSpliced(index, 1))}
              >
                <X className="size-3.5" aria-hidden="true" />
              </Small>
            </span>
          </li>
        ))}
      </ol>
      {others.length === 0 ? null : (
        <ul aria-label={say('options.not_ranked')} className="mt-1.5 grid gap-1.5">
          {others.map((item) => (
            <li key={item.id}>
              <button
                type="button"
                disabled={chosen.length >= most}
                className={`${rowShape} w-full border-dashed text-start disabled:opacity-60`}
                onClick={() => {
                  onChange([...chosen, item.id])
                  focus(item.id)
                }}
              >
                <span className="w-5 shrink-0 text-faint" aria-hidden="true">
                  {'\u2013'}
                </span>
                <OptionText item={item} />
              </button>
            </li>
          ))}
        </ul>
      )}
    </>
  )
}
