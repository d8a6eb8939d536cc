import { type ReactNode, useState } from 'react'
import { say } from '../words/say.ts'
import { AgentText } from './agent-text.tsx'

export interface TableViewProps {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly unknown[])[]
  readonly cell: (value: unknown, row: number, column: number) => ReactNode
  readonly label: string
}

const step = 50

/** Rows of records: numbers to the end, so that their digits stand below one another. */
export function TableView({ columns, rows, cell, label }: TableViewProps) {
  const [shown, setShown] = useState(step)
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keys (WCAG 2.1.1)
    <section tabIndex={0} data-own-arrows aria-label={label} className="overflow-x-auto rounded-box border border-line">
      <table className="tabular w-full border-collapse">
        <thead>
          <tr className="bg-side text-mute text-small">
            {columns.map((name, column) => (
              <th
                key={name}
                scope="col"
                className={`whitespace-nowrap px-3 py-1.5 font-medium ${typeof rows[0]?.[column] === 'number' ? 'text-end' : 'text-start'}`}
              >
                <AgentText text={name} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, shown).map((row, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: rows have no names
            <tr key={at} className="border-line border-t align-top">
              {columns.map((name, column) => (
                <td
                  key={name}
                  className={`max-w-96 px-3 py-1.5 wrap-anywhere ${typeof row[column] === 'number' ? 'text-end' : ''}`}
                >
                  {cell(row[column], at, column)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > shown ? (
        <button
          type="button"
          className="block w-full border-line border-t px-3 py-1.5 text-start text-accent text-small"
          onClick={() => setShown(shown * 4)}
        >
          {say('shown.more_rows', { count: rows.length - shown })}
        </button>
      ) : null}
    </section>
  )
}
