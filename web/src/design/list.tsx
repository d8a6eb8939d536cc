import type { ReactNode } from 'react'
import { say } from '../words/say.ts'
import { Button } from './button.tsx'
import { Empty, Rows } from './rows.tsx'
import { Trouble } from './trouble.tsx'

export interface ListProps<T> {
  readonly label: string
  readonly pages: {
    readonly items: readonly T[] | undefined
    readonly error: unknown
    readonly hasNextPage?: boolean
    readonly isFetchingNextPage?: boolean
    readonly fetchNextPage?: () => unknown
  }
  /** What would be here, and how it gets here. */
  readonly empty: ReactNode
  readonly children: (item: T) => ReactNode
}

/** A list of the service, with its next pages, its emptiness and its trouble. */
export function List<T>({ label, pages, empty, children }: ListProps<T>) {
  const { items, error, hasNextPage = false, isFetchingNextPage, fetchNextPage } = pages
  if (error !== null && items === undefined) return <Trouble of={error} />
  // No spinner: what is on its way is there before one would be seen, and the page keeps still.
  if (items === undefined) return <div className="min-h-24" aria-busy="true" />
  if (items.length === 0) return typeof empty === 'string' ? <Empty>{empty}</Empty> : empty
  return (
    <div className="grid gap-3">
      <Rows label={label}>{items.map(children)}</Rows>
      {hasNextPage ? (
        <Button className="justify-self-start" disabled={isFetchingNextPage} onClick={() => fetchNextPage?.()}>
          {say('list.more')}
        </Button>
      ) : null}
    </div>
  )
}
