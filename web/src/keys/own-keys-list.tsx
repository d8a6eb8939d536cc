import { type KeyboardEvent, useState, useSyncExternalStore } from 'react'
import { announce } from '../design/announcer.tsx'
import { Button } from '../design/button.tsx'
import { Kbd } from '../design/kbd.tsx'
import { say } from '../words/say.ts'
import { type Act, acts, actWord, keyLabel, takenBy } from './bindings.ts'
import { nameOf } from './match.ts'
import { ownKeys } from './own-keys.ts'

/** Every act with its key, which can be another one. */
export function OwnKeysList() {
  const own = useSyncExternalStore(ownKeys.subscribe, ownKeys.get)
  const [asked, setAsked] = useState<Act | null>(null)
  const [refusal, setRefusal] = useState('')
  const ask = (act: Act | null): void => {
    setAsked(act)
    setRefusal('')
  }
  const pressed = (act: Act, event: KeyboardEvent): void => {
    const { key, code, shiftKey: shift, ctrlKey, metaKey, altKey } = event.nativeEvent
    if (asked !== act || ['Tab', 'Shift', 'Control', 'Alt', 'Meta'].includes(key)) return
    event.preventDefault()
    event.stopPropagation()
    const isSign = key.length === 1 && key !== ' ' && !ctrlKey && !metaKey && !altKey
    const name = nameOf({ key, code, shift })
    const taken = takenBy(name, act)
    if (key === 'Escape') ask(null)
    else if (!isSign) setRefusal(say('own_keys.fixed'))
    else if (taken !== null) setRefusal(say('own_keys.taken', { key: name.toUpperCase(), act: say(actWord(taken)) }))
    else {
      ownKeys.set(act, name)
      ask(null)
      announce(say('own_keys.changed', { act: say(actWord(act)), key: keyLabel(act) }))
    }
  }
  return (
    <section aria-labelledby="own-keys" className="grid gap-1.5">
      <h3 id="own-keys" className="font-medium">
        {say('own_keys.title')}
      </h3>
      <p className="max-w-prose text-mute text-small">{say('own_keys.about')}</p>
      <p role="alert" className="text-critical text-small empty:hidden">
        {refusal}
      </p>
      <ul className="max-w-[520px]">
        {acts.map((act) => {
          const word = say(actWord(act))
          return (
            <li key={act} className="flex min-h-11 items-center gap-2 border-line border-b">
              <span className="me-auto">{word}</span>
              {own[act] === undefined ? null : (
                <Button
                  aria-label={say('own_keys.reset.of', { act: word })}
                  onClick={() => {
                    ownKeys.set(act, null)
                    ask(null)
                  }}
                >
                  {say('own_keys.reset')}
                </Button>
              )}
              <button
                type="button"
                aria-label={say('own_keys.change', { act: word, key: keyLabel(act) })}
                aria-pressed={asked === act}
                className="grid min-h-8 min-w-16 place-items-center rounded-control border border-line px-2 hover:bg-side aria-pressed:border-accent pointer-coarse:min-h-11"
                onClick={() => ask(asked === act ? null : act)}
                onKeyDown={(event) => pressed(act, event)}
                onBlur={() => asked === act && ask(null)}
              >
                {asked === act ? say('own_keys.press') : <Kbd>{keyLabel(act)}</Kbd>}
              </button>
            </li>
          )
        })}
      </ul>
    </section>
  )
}
