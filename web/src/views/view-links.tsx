import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { type SavedView, viewCountQuery, viewsQuery } from '../api/views.ts'
import '../words/later.ts'
import { say } from '../words/say.ts'
import { addressOf } from './address.ts'

export interface ViewLinksProps {
  readonly className: string
  /** The name of a queue in the address. */
  readonly nameOf: (queue: string | null) => string
  readonly onFollow: () => void
}

/** The person's saved views, below the queues. */
export function ViewLinks({ className, nameOf, onFollow }: ViewLinksProps) {
  const { data: views = [] } = useQuery(viewsQuery)
  if (views.length === 0) return null
  return (
    <nav aria-label={say('views.title')} className="mt-2.5 grid max-h-[40vh] gap-px overflow-y-auto">
      <p className="px-2 pb-0.5 font-medium text-faint text-small" aria-hidden="true">
        {say('views.title')}
      </p>
      {views.map((view) => {
        const { queue, filters } = addressOf(view.query)
        return (
          <Link
            key={view.id}
            to="/inbox/$queue"
            params={{ queue: nameOf(queue) }}
            search={filters}
            activeOptions={{ includeSearch: true }}
            className={className}
            onClick={onFollow}
          >
            <bdi className="truncate">{view.name}</bdi>
            <ViewCount view={view} />
          </Link>
        )
      })}
    </nav>
  )
}

function ViewCount({ view: { id, query } }: { readonly view: SavedView }) {
  const { data } = useQuery(viewCountQuery(id, query))
  if (data === undefined || data.count === 0) return null
  return (
    <span className="tabular font-medium text-faint">
      {say(data.is_more ? 'views.many' : 'views.count', { count: data.count })}
    </span>
  )
}
