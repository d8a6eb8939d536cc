import { useMemo } from 'react'
import { ChangeView } from '../rendering/value-view.tsx'
import { say } from '../words/say.ts'
import type { Schema } from './check/subset.ts'
import { FormFields } from './form/form-field.tsx'
import { schemaOfArgs, schemaOfValue } from './form/shown-fields.ts'

export interface ArgsEditorProps {
  readonly proposed: Readonly<Record<string, unknown>>
  readonly schema: Schema | null
  /** Null: as proposed. */
  readonly edited: unknown
  readonly onChange: (edited: unknown) => void
  readonly flaws: ReadonlyMap<string, string>
}

/** The action's arguments as fields of their types, and what was changed of them. */
export function ArgsEditor({ proposed, schema, edited, onChange, flaws }: ArgsEditorProps) {
  const drawn = useMemo(
    () => (schema === null ? schemaOfValue(proposed) : schemaOfArgs(schema, schema, proposed)),
    [proposed, schema],
  )
  const change = (next: unknown): void => {
    const ordered = inOrderOf(proposed, next)
    onChange(JSON.stringify(ordered) === JSON.stringify(proposed) ? null : ordered)
  }
  return (
    <div data-args className="grid grid-cols-[minmax(0,1fr)] gap-4">
      <FormFields
        top={schema ?? drawn}
        schema={drawn}
        at="/args"
        value={edited ?? proposed}
        onChange={change}
        flaws={flaws}
      />
      <p aria-live="polite" className="text-mute text-small">
        {edited === null ? say('args.as_proposed') : say('args.changed')}
      </p>
      {edited === null ? null : (
        <>
          <ChangeView before={proposed} after={edited} language={null} label={say('args.diff')} />
          <button
            type="button"
            className="justify-self-start text-accent text-small pointer-coarse:min-h-11"
            onClick={() => onChange(null)}
          >
            {say('args.reset')}
          </button>
        </>
      )}
    </div>
  )
}

/** A member that was taken out and put back is in its old place again. */
function inOrderOf(like: unknown, value: unknown): unknown {
  if (Array.isArray(like) && Array.isArray(value)) return value.map((item, at) => inOrderOf(like[at], item))
  if (typeof like !== 'object' || like === null || typeof value !== 'object' || value === null) return value
  if (Array.isArray(like) || Array.isArray(value)) return value
  const [before, after] = [like as Record<string, unknown>, value as Record<string, unknown>]
  const names = [
    ...Object.keys(before).filter((name) => Object.hasOwn(after, name)),
    ...Object.keys(after).filter((name) => !Object.hasOwn(before, name)),
  ]
  return Object.fromEntries(names.map((name) => [name, inOrderOf(before[name], after[name])]))
}
