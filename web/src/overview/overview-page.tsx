import '../words/later.ts'
import { useQuery } from '@tanstack/react-query'
import { api, type Schemas } from '../api/client.ts'
import { countsQuery } from '../api/counts.ts'
import { useAgentName, usePersonName } from '../api/names.ts'
import { granted } from '../api/refused.ts'
import { List } from '../design/list.tsx'
import { Page, Section } from '../design/page.tsx'
import { Empty } from '../design/rows.tsx'
import { Trouble } from '../design/trouble.tsx'
import { say } from '../words/say.ts'
import { duration } from '../words/times.ts'
import { Bar } from './bar.tsx'
import { approvalRates, medianWaitSeconds, type Rate } from './figures.ts'

const looked = 100

const latestQuery = {
  queryKey: ['overview', 'latest'],
  queryFn: () =>
    granted(api.GET('/api/v1/requests', { params: { query: { sort: 'newest', fields: 'light', limit: looked } } })),
} as const

const oldestQuery = {
  queryKey: ['overview', 'oldest'],
  queryFn: () =>
    granted(
      api.GET('/api/v1/requests', {
        params: { query: { state: 'pending', sort: 'oldest', fields: 'light', limit: 1 } },
      }),
    ),
} as const

/** A few plain figures, of the counts and of the latest requests. */
export function OverviewPage() {
  const { data: counts, error } = useQuery(countsQuery)
  const { data: latest } = useQuery(latestQuery)
  const { data: oldest } = useQuery(oldestQuery)
  const first = oldest?.items[0]
  const median = latest === undefined ? null : medianWaitSeconds(latest.items)
  return (
    <Page title={say('overview.title')}>
      <Trouble of={counts === undefined ? error : null} />
      <dl className="grid grid-cols-2 gap-4 wide:grid-cols-4">
        <Figure label={say('overview.open')} value={say('nav.count', { count: counts?.queues.all ?? 0 })} />
        <Figure label={say('overview.due_soon')} value={say('nav.count', { count: counts?.queues.due_soon ?? 0 })} />
        <Figure
          label={say('overview.oldest')}
          value={
            first === undefined ? say('overview.none') : duration((Date.now() - Date.parse(first.created_at)) / 1_000)
          }
        />
        <Figure label={say('overview.median')} value={median === null ? say('overview.none') : duration(median)} />
      </dl>
      {latest?.items.length === 0 ? <Empty>{say('overview.nothing')}</Empty> : null}
      {counts === undefined || latest === undefined || latest.items.length === 0 ? null : (
        <>
          <States counts={counts.by_state} />
          <Rates requests={latest.items} />
        </>
      )}
    </Page>
  )
}

function Figure({ label, value }: { readonly label: string; readonly value: string }) {
  return (
    <div className="flex flex-col-reverse justify-end rounded-box border border-line p-4">
      <dt className="text-mute text-small">{label}</dt>
      <dd className="tabular font-semibold text-title">{value}</dd>
    </div>
  )
}

const states = [
  'pending',
  'responded',
  'callback_sent',
  'callback_failed',
  'completed',
  'timeout',
  'cancelled',
] as const

function States({ counts }: { readonly counts: Schemas['StateCounts'] }) {
  const most = Math.max(1, ...states.map((state) => counts[state]))
  return (
    <Section title={say('overview.states')}>
      <ul className="grid gap-2">
        {states.map((state) => (
          <Bar
            key={state}
            label={say(`overview.state.${state}`)}
            share={counts[state] / most}
            value={say('nav.count', { count: counts[state] })}
          />
        ))}
      </ul>
    </Section>
  )
}

function Rates({ requests }: { readonly requests: readonly Schemas['Request'][] }) {
  const byAgent = approvalRates(requests, ({ agent_id }) => agent_id)
  const byPerson = approvalRates(requests, ({ responded_by }) => responded_by)
  return (
    <>
      <Section title={say('overview.agents')} about={say('overview.of_latest', { count: looked })}>
        <List label={say('overview.agents')} pages={{ items: byAgent, error: null }} empty={say('overview.empty')}>
          {(rate) => <AgentRate key={rate.id} rate={rate} />}
        </List>
      </Section>
      <Section title={say('overview.people')} about={say('overview.of_latest', { count: looked })}>
        <List label={say('overview.people')} pages={{ items: byPerson, error: null }} empty={say('overview.empty')}>
          {(rate) => <PersonRate key={rate.id} rate={rate} />}
        </List>
      </Section>
    </>
  )
}

function AgentRate({ rate }: { readonly rate: Rate }) {
  return <RateBar name={useAgentName(rate.id) ?? rate.id} rate={rate} />
}

function PersonRate({ rate }: { readonly rate: Rate }) {
  return <RateBar name={usePersonName(rate.id) ?? rate.id} rate={rate} />
}

function RateBar({ name, rate: { approved, decided } }: { readonly name: string; readonly rate: Rate }) {
  return <Bar label={name} share={approved / decided} value={say('overview.rate', { approved, decided })} />
}
