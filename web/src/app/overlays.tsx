import { useQueryClient } from '@tanstack/react-query'
import { useNavigate, useParams } from '@tanstack/react-router'
import { lazy, Suspense, useState } from 'react'
import type { Request } from '../api/requests.ts'
import { queues } from '../inbox/queues.ts'
import { type Act, actWord, keyLabel } from '../keys/bindings.ts'
import { available, type Handlers, useKeys } from '../keys/keyboard.ts'
import type { Command } from '../keys/palette.tsx'
import { AgentText } from '../rendering/agent-text.tsx'
import { say } from '../words/say.ts'
import { houseLinks } from './house-links.ts'

const Palette = lazy(() => import('../keys/palette.tsx').then((part) => ({ default: part.Palette })))
const KeySheet = lazy(() => import('../keys/sheet.tsx').then((part) => ({ default: part.KeySheet })))

const unlisted = new Set<Act>(['palette', 'search', 'back', 'open'])

/** The palette and the sheet of keys, and the keys that lead to queues. */
export function Overlays() {
  const [open, setOpen] = useState<
    { readonly name: 'sheet' } | { readonly name: 'palette'; readonly commands: readonly Command[] } | null
  >(null)
  const navigate = useNavigate()
  const { queue } = useParams({ strict: false })
  const client = useQueryClient()
  const goTo = (queue: string) => () => void navigate({ to: '/inbox/$queue', params: { queue } })

  /** What could be done when it was opened, because an open palette takes the keys. */
  const acts = (): readonly Command[] =>
    [...available()]
      .filter(([act]) => !unlisted.has(act))
      .map(([act, run]) => ({ id: act, label: say(actWord(act)), keys: keyLabel(act), run }))
  const pages = (): readonly Command[] =>
    houseLinks.map(({ to, label }) => ({ id: to, label: say(label), keys: null, run: () => void navigate({ to }) }))
  const requests = (): readonly Command[] =>
    queues.flatMap(({ name }) => {
      const data = client.getQueryData<{ pages: readonly { items: readonly Request[] }[] }>(['requests', name])
      return (data?.pages ?? []).flatMap(({ items }) =>
        items.map(({ id, title }) => ({
          id: `${name} ${id}`,
          label: title,
          shown: <AgentText text={title} />,
          keys: null,
          run: () => void navigate({ to: '/inbox/$queue/$id', params: { queue: name, id } }),
        })),
      )
    })
  const found = (): readonly Command[] => [...new Map(requests().map((each) => [each.id.split(' ')[1], each])).values()]
  useKeys({
    palette: () => setOpen({ name: 'palette', commands: [...acts(), ...pages(), ...found()] }),
    // A list has a box of its own.
    ...(queue === undefined
      ? { search: () => void navigate({ to: '/inbox/$queue', params: { queue: 'latest' }, search: { q: '' } }) }
      : {}),
    sheet: () => setOpen({ name: 'sheet' }),
    ...(Object.fromEntries(queues.map(({ name, act }) => [act, goTo(name)])) as Handlers),
  })
  const close = (): void => setOpen(null)
  if (open === null) return null
  return (
    <Suspense>
      {open.name === 'sheet' ? (
        <KeySheet onClose={close} />
      ) : (
        <Palette title={say('palette.title')} commands={open.commands} onClose={close} />
      )}
    </Suspense>
  )
}
