import prometheus from 'prom-client'
import { type EventKind, eventKinds } from '../facts/kinds.ts'

// Gauges that every process reads from the same database, and times, are not added up over the processes of WORKERS.
const most = { aggregator: 'max' } as const
const least = { aggregator: 'min' } as const

const callSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]
const attemptSeconds = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30]
const decisionSeconds = [10, 60, 300, 900, 3_600, 14_400, 86_400, 259_200, 604_800]
const latenessSeconds = [0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300]

export const closings = ['approve', 'reject', 'request_changes', 'timeout', 'cancelled'] as const
export const attemptOutcomes = ['sent', 'retry', 'failed'] as const
export const tiers = ['high', 'critical', 'other'] as const

export type Instruments = ReturnType<typeof createInstruments>

/** Every metric of one app, in a registry of its own. docs/operations.md lists them; a test holds the two together. */
export function createInstruments(version: string) {
  const registry = new prometheus.Registry()
  const registers = [registry]
  const counter = <L extends string = never>(name: string, help: string, labelNames: readonly L[] = []) =>
    new prometheus.Counter<L>({ name, help, labelNames: [...labelNames], registers })
  const gauge = <L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    more: { readonly aggregator?: 'max' | 'min' } = {},
  ) => new prometheus.Gauge<L>({ name, help, labelNames: [...labelNames], registers, ...more })
  const histogram = <L extends string = never>(
    name: string,
    help: string,
    buckets: readonly number[],
    labelNames: readonly L[] = [],
  ) => new prometheus.Histogram<L>({ name, help, buckets: [...buckets], labelNames: [...labelNames], registers })

  const instruments = {
    registry,
    calls: counter('hitl_http_requests_total', 'HTTP calls, by route, method and class of their status.', [
      'route',
      'method',
      'status',
    ]),
    callDuration: histogram(
      'hitl_http_request_duration_seconds',
      'Time from the head of a call to the end of its reply; waits and streams last as long as they are asked to.',
      callSeconds,
      ['route', 'method', 'status'],
    ),
    problems: counter('hitl_http_problems_total', 'Refused and failed calls, by the code of their problem.', ['code']),
    events: counter('hitl_events_total', 'Events of the audit that were committed, by kind.', ['kind']),
    created: counter('hitl_requests_created_total', 'Requests that agents made.'),
    closed: counter('hitl_requests_closed_total', 'Requests that were closed, by outcome and by what decided.', [
      'outcome',
      'decided_by',
    ]),
    decisionTime: histogram(
      'hitl_request_decision_seconds',
      'Time from a request to the decision that was given to its agent.',
      decisionSeconds,
    ),
    lateness: histogram(
      'hitl_timer_lateness_seconds',
      'How late requests timed out and held decisions were released.',
      latenessSeconds,
    ),
    attempts: histogram(
      'hitl_callback_attempt_duration_seconds',
      'Time that an attempt at a callback took, by outcome.',
      attemptSeconds,
      ['outcome'],
    ),
    batchSize: histogram('hitl_batch_size', 'Acts that shared one commit.', [1, 2, 4, 8, 16, 32, 64, 128], ['batch']),
    loopFailures: counter('hitl_loop_failures_total', 'Rounds of background loops that failed and are tried again.', [
      'loop',
    ]),
    open: gauge(
      'hitl_requests_open',
      'Requests that wait for a decision, by risk: high, critical or other.',
      ['tier'],
      most,
    ),
    oldestOpen: gauge(
      'hitl_requests_oldest_open_seconds',
      'Age of the oldest request that waits for a decision, by risk; 0: there is none.',
      ['tier'],
      most,
    ),
    due: gauge('hitl_callbacks_due', 'Callbacks that are due, at most 1,000 of each organization.', [], most),
    oldestDue: gauge(
      'hitl_callbacks_oldest_due_seconds',
      'For how long the callback that has been due the longest has waited; 0: none is due.',
      [],
      most,
    ),
    oldestTimer: gauge(
      'hitl_timers_oldest_due_seconds',
      'For how long the request that should have timed out or been released first has waited for it; 0: none waits.',
      [],
      most,
    ),
    unsealed: gauge(
      'hitl_audit_unsealed_events',
      'Events that are not sealed yet, at most 1,000 of each organization.',
      [],
      most,
    ),
    oldestUnsealed: gauge(
      'hitl_audit_oldest_unsealed_seconds',
      'Age of the oldest event that is not sealed yet; 0: all are.',
      [],
      most,
    ),
    searchLag: gauge(
      'hitl_search_lag_seconds',
      'How long ago the changes were made that cannot all be found yet; a second where everything can.',
      [],
      most,
    ),
    backlogAge: gauge(
      'hitl_backlog_age_seconds',
      'How old the figures from the database are: open requests, due callbacks and timers, unsealed events.',
      [],
      most,
    ),
    openOf: gauge(
      'hitl_organization_requests_open',
      'Open requests of an organization, the 100 with the most; only with METRICS_PER_ORGANIZATION.',
      ['organization_id'],
      most,
    ),
    keysExpiring: gauge(
      'hitl_api_keys_expiring',
      'API keys used in the last seven days that expire in the next seven, at most 1,000 of each organization.',
      [],
      most,
    ),
    signingKeyAge: gauge(
      'hitl_signing_key_age_seconds',
      'For how long the key has signed that signs now, by its purpose.',
      ['purpose'],
      most,
    ),
    certificateExpiry: gauge(
      'hitl_certificate_expiry_seconds',
      'Time until the first certificate in the file of a setting expires, by the setting; below 0: it has.',
      ['setting'],
      least,
    ),
    checks: gauge(
      'hitl_check_ok',
      '1: this check of readiness is ok, 0: it is not; sending: callbacks and mail are not held back.',
      ['check'],
      least,
    ),
    openBreakers: gauge(
      'hitl_callback_breakers_open',
      'Receivers whose breaker is open, in each process that delivers.',
    ),
    slots: gauge('hitl_callback_slots_in_use', 'Deliveries under way.'),
    poolInUse: gauge('hitl_database_pool_in_use', 'Connections to the database in use, by pool.', ['pool']),
    poolSize: gauge('hitl_database_pool_size', 'Connections to the database that there may be, by pool.', ['pool']),
    poolWaiting: gauge('hitl_database_pool_waiting', 'Calls and loops that wait for a connection, by pool.', ['pool']),
    loopDelay: gauge(
      'hitl_event_loop_delay_seconds',
      'The 99th percentile of the delay of the event loop in the last five seconds, of the slowest process.',
      [],
      most,
    ),
    resident: gauge('hitl_process_resident_memory_bytes', 'Resident memory of the processes.'),
    heap: gauge('hitl_process_heap_bytes', 'JavaScript heap in use.'),
    processes: gauge('hitl_processes', 'Processes that were asked for these metrics.'),
    build: gauge('hitl_build_info', 'Always 1; the version of the service and of Node.', ['version', 'node'], most),
    freeSpace: gauge(
      'hitl_data_dir_free_bytes',
      'Free space on the disk of DATA_DIR; only with the embedded database.',
      [],
      most,
    ),
  }
  // A series that begins with its first failure shows no increase: what is known is there from the start.
  for (const kind of Object.keys(eventKinds) as EventKind[]) instruments.events.inc({ kind }, 0)
  for (const outcome of attemptOutcomes) instruments.attempts.zero({ outcome })
  for (const batch of ['create', 'act', 'attempt']) instruments.batchSize.zero({ batch })
  for (const loop of ['metrics', 'expiring']) instruments.loopFailures.inc({ loop }, 0)
  for (const tier of tiers) {
    instruments.open.set({ tier }, 0)
    instruments.oldestOpen.set({ tier }, 0)
  }
  for (const outcome of closings) {
    const decidedBy = outcome === 'timeout' ? 'timeout' : outcome === 'cancelled' ? 'agent' : 'human'
    instruments.closed.inc({ outcome, decided_by: decidedBy }, 0)
  }
  instruments.build.set({ version, node: process.version }, 1)
  instruments.processes.set(1)
  return instruments
}
