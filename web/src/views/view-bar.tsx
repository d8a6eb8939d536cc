import { useQuery } from '@tanstack/react-query'
import { agentsQuery, usePersonName } from '../api/names.ts'
import { asTyped } from '../api/requests.ts'
import { changeView, deleteView, saveView, viewsQuery } from '../api/views.ts'
import { announce } from '../design/announcer.tsx'
import { Button } from '../design/button.tsx'
import { Field } from '../design/field.tsx'
import { ActButton, FormDialog, given } from '../design/form-dialog.tsx'
import '../words/later.ts'
import { say, type Word } from '../words/say.ts'
import { absolute } from '../words/times.ts'
import { queryOf, sameQuery } from './address.ts'
import { type FilterName, type Filters, filterNames, isFiltered } from './filters.ts'

export interface ViewBarProps {
  /** As the service names it; null: every request. */
  readonly queue: string | null
  readonly filters: Filters
  readonly q: string | undefined
  readonly onClear: () => void
}

/** Which filters the list has, and the name under which they are kept. */
export function ViewBar({ queue, filters, q = '', onClear }: ViewBarProps) {
  const { data: views = [] } = useQuery(viewsQuery)
  const words = q.trim()
  const query = queryOf({ queue, filters: words === '' ? filters : { ...filters, q: asTyped(words) } })
  const view = views.find((each) => sameQuery(each.query, query))
  const nameOf = (form: FormData): string => given(form, 'name') ?? ''
  return (
    <section aria-label={say('views.filters')} className="grid gap-1.5 border-line border-b bg-side px-4 py-2">
      <p className="min-w-0 break-words text-small">
        {view === undefined ? null : <bdi className="me-2 font-semibold">{view.name}</bdi>}
        <Told filters={words === '' ? filters : { ...filters, q: words }} />
      </p>
      <div className="flex flex-wrap gap-1.5">
        {view === undefined ? (
          <FormDialog
            text={say('views.save')}
            name={say('views.save.name')}
            send={async (form) => {
              const { name } = await saveView({ name: nameOf(form), query })
              announce(say('views.saved', { name }))
            }}
          >
            <NameField />
          </FormDialog>
        ) : (
          <>
            <FormDialog
              text={say('views.rename')}
              name={say('views.rename.of', { name: view.name })}
              send={(form) => changeView(view.id, { name: nameOf(form), query: view.query })}
            >
              <NameField name={view.name} />
            </FormDialog>
            <ActButton
              text={say('views.delete')}
              name={say('views.delete.of', { name: view.name })}
              kind="danger"
              about={say('views.delete.about')}
              act={() => deleteView(view.id)}
            />
          </>
        )}
        {isFiltered(filters) ? (
          <Button kind="quiet" onClick={onClear}>
            {say('views.clear')}
          </Button>
        ) : null}
      </div>
    </section>
  )
}

/** As long as the service takes. */
const NameField = ({ name = '' }: { readonly name?: string }) => (
  <Field name="name" label={say('views.name')} maxLength={60} defaultValue={name} required />
)

/** Each filter in words: what the person did not choose from a list is shown as it stands in the address. */
function Told({ filters }: { readonly filters: Filters }) {
  const { data: agents } = useQuery(agentsQuery)
  const decider = usePersonName(filters.responded_by ?? null)
  const others = Object.keys(filters).filter((name) => !(filterNames as readonly string[]).includes(name))
  return [...filterNames, ...others].flatMap((name) => {
    const value = filters[name]
    if (value === undefined) return []
    const shown =
      name === 'agent'
        ? (agents?.get(value) ?? value)
        : name === 'responded_by'
          ? (decider ?? value)
          : name === 'tag' || name === 'q'
            ? value
            : wordsOf(name, value)
    return [
      <span key={name} className="me-3 inline-block max-w-full break-words">
        <span className="text-mute">{labelOf(name)}</span> <bdi>{shown}</bdi>
      </span>,
    ]
  })
}

const labelOf = (name: string): string =>
  (filterNames as readonly string[]).includes(name) ? say(`views.filter.${name as FilterName}`) : name

/** Where the words of a filter's values are, and which values have some. */
const worded: Readonly<Partial<Record<string, readonly [area: string, values: readonly string[]]>>> = {
  risk: ['risk', ['low', 'medium', 'high', 'critical']],
  priority: ['views.priority', ['low', 'normal', 'high', 'urgent']],
  sort: ['views.sort', ['newest', 'oldest', 'due', 'priority']],
  decision: ['decided', ['approve', 'reject', 'request_changes', 'acknowledge']],
}

function wordsOf(name: string, value: string): string {
  const time = /_(?:after|before)$/.test(name) ? new Date(value) : null
  if (time !== null && !Number.isNaN(time.getTime())) return absolute(time)
  const [area, values] = worded[name] ?? ['', []]
  return value
    .split(',')
    .map((one) => (values.includes(one) ? say(`${area}.${one}` as Word) : one))
    .join(', ')
}
