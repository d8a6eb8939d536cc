import { useMutation } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { Schemas } from '../api/client.ts'
import { download } from '../api/download.ts'
import { useAgentName, usePersonName } from '../api/names.ts'
import { Button } from '../design/button.tsx'
import { ShowDialog } from '../design/form-dialog.tsx'
import { Mark, Row } from '../design/rows.tsx'
import { Copied } from '../design/secret.tsx'
import { Trouble } from '../design/trouble.tsx'
import { When } from '../design/when.tsx'
import { say } from '../words/say.ts'

type Event = Schemas['Event']

export function EventRow({ event }: { readonly event: Event }) {
  const { kind, subject, occurred_at, altered, erased, seal } = event
  return (
    <Row
      title={<span className="font-mono text-small">{kind}</span>}
      mark={
        <>
          {altered ? <Mark tone="bad">{say('audit.altered')}</Mark> : null}
          {erased ? <Mark>{say('audit.erased')}</Mark> : null}
          {seal === null ? <Mark>{say('audit.unsealed')}</Mark> : null}
        </>
      }
      detail={
        <>
          <When at={occurred_at} />
          {' · '}
          <Actor actor={event.actor} />
        </>
      }
    >
      {subject.kind === 'request' ? <RequestLinks id={subject.id} /> : null}
      <ShowDialog text={say('audit.details')} name={say('audit.details.name', { kind })}>
        <Copied label={say('audit.record')} text={JSON.stringify(event, null, 2)} />
      </ShowDialog>
    </Row>
  )
}

function Actor({ actor: { kind, id } }: { readonly actor: Event['actor'] }) {
  if (kind === 'person' && id !== null) return <Person id={id} />
  if (kind === 'agent' && id !== null) return <Agent id={id} />
  return kind === 'timer' || kind === 'system' || kind === 'anonymous' ? say(`actor.${kind}`) : kind
}

function Person({ id }: { readonly id: string }) {
  return <bdi>{usePersonName(id) ?? id}</bdi>
}

function Agent({ id }: { readonly id: string }) {
  return <bdi>{useAgentName(id) ?? id}</bdi>
}

function RequestLinks({ id }: { readonly id: string }) {
  const saving = useMutation({
    mutationFn: () => download(`/api/v1/requests/${id}/evidence?format=html`, `evidence-${id}.html`),
  })
  return (
    <>
      <Link
        to="/inbox/$queue/$id"
        params={{ queue: 'latest', id }}
        className="px-2 text-accent underline underline-offset-2"
        aria-label={say('callbacks.request.name', { id })}
      >
        {say('callbacks.request')}
      </Link>
      <Button
        aria-label={say('audit.evidence.name', { id })}
        disabled={saving.isPending}
        onClick={() => saving.mutate()}
      >
        {say('audit.evidence')}
      </Button>
      <Trouble of={saving.error} />
    </>
  )
}
