import '../words/later.ts'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { api, type Schemas } from '../api/client.ts'
import { usePages } from '../api/pages.ts'
import { manages, usePerson } from '../api/person.ts'
import { granted } from '../api/refused.ts'
import { Button } from '../design/button.tsx'
import { ActButton, ShowDialog } from '../design/form-dialog.tsx'
import { List } from '../design/list.tsx'
import { Page } from '../design/page.tsx'
import { Mark, Row } from '../design/rows.tsx'
import { Select } from '../design/select.tsx'
import { Trouble } from '../design/trouble.tsx'
import { When } from '../design/when.tsx'
import { say } from '../words/say.ts'
import { Attempts } from './attempts.tsx'

const statuses = ['failed', 'delivering', 'pending', 'sent', 'withdrawn'] as const
type Status = (typeof statuses)[number]

const tones = { failed: 'bad', delivering: 'warning', pending: 'plain', sent: 'good', withdrawn: 'plain' } as const

/** Is not sent again: only what reports how a request was closed is. */
const isBeside = /^request\.(revised|completed)$/

/** What was posted back to agents, and above all what did not arrive. */
export function CallbacksPage() {
  const [status, setStatus] = useState<Status | ''>('failed')
  const queryClient = useQueryClient()
  const isManager = manages(usePerson())
  const [told, setTold] = useState('')
  const filter = status === '' ? {} : { status }
  const callbacks = usePages(['callbacks', status], (cursor, signal) =>
    granted(api.GET('/api/v1/callbacks', { params: { query: { limit: 50, ...filter, ...cursor } }, signal })),
  )
  const changed = (): Promise<void> => queryClient.invalidateQueries({ queryKey: ['callbacks'] })
  const redelivering = useMutation({
    mutationFn: (id: string) => granted(api.POST('/api/v1/requests/{id}/redeliver', { params: { path: { id } } })),
    onSuccess: async () => {
      setTold(say('callbacks.sent_again', { count: 1 }))
      await changed()
    },
  })
  return (
    <Page
      title={say('callbacks.title')}
      about={say('callbacks.about')}
      actions={
        isManager && (status === 'failed' || status === 'sent') ? (
          <ActButton
            text={say('callbacks.all')}
            name={say(`callbacks.all.${status}`)}
            about={say('callbacks.all.about')}
            act={async () => {
              setTold(say('callbacks.sent_again', { count: await sendAllAgain(status) }))
              await changed()
            }}
          />
        ) : undefined
      }
    >
      <Select
        label={say('callbacks.status')}
        className="w-52"
        value={status}
        onChange={({ target }) => setStatus(target.value as Status | '')}
        options={[
          ...statuses.map((each): [string, string] => [each, say(`callbacks.${each}`)]),
          ['', say('filter.all')],
        ]}
      />
      <Trouble of={redelivering.error} />
      <p role="status">{told}</p>
      <List
        label={say('callbacks.title')}
        pages={callbacks}
        empty={say(status === 'failed' ? 'callbacks.empty.failed' : 'callbacks.empty')}
      >
        {(callback) => (
          <CallbackRow
            key={callback.webhook_id}
            callback={callback}
            isBusy={redelivering.isPending}
            onRedeliver={() => redelivering.mutate(callback.request_id)}
          />
        )}
      </List>
    </Page>
  )
}

/** Page by page, because one call takes at most a few hundred. */
async function sendAllAgain(status: 'failed' | 'sent'): Promise<number> {
  let sent = 0
  let cursor: string | null = null
  do {
    const body: Schemas['RedeliverCallbacks'] = { status, limit: 500, ...(cursor === null ? {} : { cursor }) }
    const page: Schemas['RedeliveredCallbacks'] = await granted(api.POST('/api/v1/callbacks/redeliver', { body }))
    sent += page.redelivered
    cursor = page.next_cursor
  } while (cursor !== null)
  return sent
}

interface CallbackRowProps {
  readonly callback: Schemas['ListedCallback']
  readonly isBusy: boolean
  readonly onRedeliver: () => void
}

function CallbackRow({ callback, isBusy, onRedeliver }: CallbackRowProps) {
  const { request_id: id, event, target, attempts, last_error, next_attempt_at, updated_at } = callback
  const status = statuses.find((each) => each === callback.status)
  return (
    <Row
      title={<bdi>{target}</bdi>}
      mark={status === undefined ? null : <Mark tone={tones[status]}>{say(`callbacks.${status}`)}</Mark>}
      detail={
        <>
          {say('callbacks.attempts', { count: attempts })}
          {' · '}
          <When at={updated_at} />
          {next_attempt_at === null ? null : (
            <>
              {' · '}
              {say('callbacks.next')} <When at={next_attempt_at} />
            </>
          )}
          {last_error === null ? null : <bdi className="block text-critical">{last_error}</bdi>}
        </>
      }
    >
      <Link
        to="/inbox/$queue/$id"
        params={{ queue: 'latest', id }}
        className="px-2 text-accent underline underline-offset-2"
        aria-label={say('callbacks.request.name', { id })}
      >
        {say('callbacks.request')}
      </Link>
      <ShowDialog text={say('callbacks.log')} name={say('callbacks.log.name', { target })}>
        <Attempts id={id} />
      </ShowDialog>
      {(status === 'sent' || status === 'failed') && !isBeside.test(event) ? (
        <Button aria-label={say('callbacks.again.name', { target })} disabled={isBusy} onClick={onRedeliver}>
          {say('callbacks.again')}
        </Button>
      ) : null}
    </Row>
  )
}
