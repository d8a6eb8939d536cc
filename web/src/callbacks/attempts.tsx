import { useQuery } from '@tanstack/react-query'
import { api } from '../api/client.ts'
import { granted } from '../api/refused.ts'
import { List } from '../design/list.tsx'
import { Mark, Row } from '../design/rows.tsx'
import { When } from '../design/when.tsx'
import { say } from '../words/say.ts'

/** Every attempt to deliver the callback of a request. */
export function Attempts({ id }: { readonly id: string }) {
  const { data, error } = useQuery({
    queryKey: ['deliveries', id],
    queryFn: () => granted(api.GET('/api/v1/requests/{id}/deliveries', { params: { path: { id } } })),
  })
  return (
    <List label={say('callbacks.log')} pages={{ items: data?.items, error }} empty={say('callbacks.log.empty')}>
      {({ id: attemptId, attempt, succeeded, status_code, duration_ms, error: why, reply, started_at }) => (
        <Row
          key={attemptId}
          title={say('callbacks.attempt', { number: attempt })}
          mark={
            <Mark tone={succeeded ? 'good' : 'bad'}>
              {status_code === null ? say('callbacks.no_reply') : String(status_code)}
            </Mark>
          }
          detail={
            <>
              <When at={started_at} />
              {' · '}
              {say('callbacks.took', { ms: duration_ms })}
              {why === null ? null : <bdi className="block text-critical">{why}</bdi>}
              {reply === '' ? null : <bdi className="block font-mono">{reply}</bdi>}
            </>
          }
        />
      )}
    </List>
  )
}
