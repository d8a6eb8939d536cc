import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { createAuthority } from '../server/test/certificates.ts'
import { eventually } from '../server/test/eventually.ts'
import { freePort, startReceiver } from '../server/test/receivers.ts'
import { login, request, type ServiceProcess, startService, untilReady } from '../server/test/service-process.ts'

// The rules and dashboards of deploy/observability, as a real Prometheus understands them.

const observability = join(import.meta.dirname, '../deploy/observability')
const rules = join(observability, 'alerts.yml')
const folder = await mkdtemp(join(tmpdir(), 'hitl-observability-'))
after(() => rm(folder, { recursive: true, force: true }))

const run = promisify(execFile)

/** A series of a test, with its value at each minute (promtool's notation). */
type Series = Readonly<Record<string, string>>

const calls = (status: string, values: string): Series => ({
  [`hitl_http_requests_total{route="/a",method="GET",status="${status}"}`]: values,
})
const gauge = (name: string, well: number, ill: number): Series => ({ [name]: `${well}x20 ${ill}x180 ${well}x400` })

/** What makes each alert fire after three hours, alone, and no longer at the end. */
const illnesses: Readonly<Record<string, Series>> = {
  HitlDown: { 'up{job="hitl",instance="b"}': '1x20 0x180 1x400' },
  HitlErrors: {
    ...calls('2xx', '0+600x600'),
    ...calls('5xx', `0x20 0+20x180 3600x400`),
    // Probes that fail are no calls that fail.
    'hitl_http_requests_total{route="/readyz",method="GET",status="5xx"}': '0+600x600',
  },
  HitlSlow: Object.fromEntries(
    Object.entries({ 0.5: '0+90x20 1800x180 1800+90x400', 2.5: '0+90x600', '+Inf': '0+90x600' }).map(([le, values]) => [
      `hitl_http_request_duration_seconds_bucket{route="/a",le="${le}"}`,
      values,
    ]),
  ),
  HitlSaturated: gauge('hitl_event_loop_delay_seconds{instance="a"}', 0.01, 0.6),
  HitlLoopFails: { 'hitl_loop_failures_total{loop="metrics"}': '0x20 0+2x180 360x400' },
  HitlAuditChanged: gauge('hitl_check_ok{check="audit"}', 1, 0),
  HitlKeyMissing: gauge('hitl_check_ok{check="secrets"}', 1, 0),
  HitlSendingHeld: gauge('hitl_check_ok{check="sending"}', 1, 0),
  HitlCallbacksLate: gauge('hitl_callbacks_oldest_due_seconds', 1, 200),
  HitlCallbacksGivenUp: { 'hitl_events_total{kind="request.callback_abandoned"}': '0x170 1x430' },
  HitlReceiverFails: gauge('hitl_callback_breakers_open{instance="a"}', 0, 1),
  HitlTimersLate: gauge('hitl_timers_oldest_due_seconds', 0, 60),
  HitlSealsLate: gauge('hitl_audit_oldest_unsealed_seconds', 1, 300),
  HitlSearchLate: gauge('hitl_search_lag_seconds', 1, 120),
  HitlFiguresOld: gauge('hitl_backlog_age_seconds', 3, 900),
  HitlDiskLow: gauge('hitl_data_dir_free_bytes{instance="a"}', 2.2e9, 2.1e9),
  HitlDiskFills: {
    'hitl_data_dir_free_bytes{instance="a"}': '500000000000x20 500000000000-1000000000x180 320000000000x400',
  },
  HitlPoolExhausted: gauge('hitl_database_pool_waiting{instance="a",pool="calls"}', 0, 4),
  HitlApiKeysExpire: gauge('hitl_api_keys_expiring', 0, 1),
  HitlCertificateExpires: gauge('hitl_certificate_expiry_seconds{setting="DATABASE_CA"}', 1e7, 1e5),
  HitlSigningKeyOld: gauge('hitl_signing_key_age_seconds{purpose="audit_head"}', 1e6, 4e7),
  HitlCriticalRequestWaits: gauge('hitl_requests_oldest_open_seconds{tier="critical"}', 60, 1_000),
  HitlHighRequestWaits: gauge('hitl_requests_oldest_open_seconds{tier="high"}', 1_000, 4_000),
  HitlRequestWaits: gauge('hitl_requests_oldest_open_seconds{tier="other"}', 4_000, 90_000),
  HitlBacklogGrows: { 'hitl_requests_open{tier="other"}': '100x150 900x450' },
}

test('promtool takes the rules; each alert fires for what it is for, alone, and resolves', async () => {
  await run('promtool', ['check', 'rules', '--lint=all', '--lint-fatal', rules])
  const alerts = [...(await readFile(rules, 'utf8')).matchAll(/- alert: (\w+)/g)].map(([, name]) => name)
  assert.deepEqual(Object.keys(illnesses), alerts)
  const expr = 'count by (alertname) (ALERTS{alertstate="firing"})'
  const alone = (alert: string) => [{ labels: `{alertname="${alert}"}`, value: 1 }]
  const tests: object[] = Object.entries(illnesses).map(([alert, given]) => {
    const series = Object.entries({ 'up{job="hitl",instance="a"}': '1x600', ...given })
    return {
      name: alert,
      interval: '1m',
      input_series: series.map(([name, values]) => ({ series: name, values })),
      promql_expr_test: [
        { expr, eval_time: '15m', exp_samples: [] },
        { expr, eval_time: '3h', exp_samples: alone(alert) },
        // What is foreseen from six hours needs six good ones to be over.
        { expr, eval_time: alert === 'HitlDiskFills' ? '590m' : '250m', exp_samples: [] },
      ],
    }
  })
  // What nobody scrapes is as far away as what is down.
  tests.push({ interval: '1m', promql_expr_test: [{ expr, eval_time: '5m', exp_samples: alone('HitlDown') }] })
  // JSON is YAML.
  const file = join(folder, 'alerts.test.yml')
  await writeFile(file, JSON.stringify({ rule_files: [rules], evaluation_interval: '5m', tests }))
  const { stdout } = await run('promtool', ['test', 'rules', file])
  assert.match(stdout, /SUCCESS/)
})

describe('a Prometheus that scrapes a running service', () => {
  let service: ServiceProcess
  let settings: Record<string, string>
  let prometheus: ChildProcess
  let receiver: Awaited<ReturnType<typeof startReceiver>>
  let query: (expression: string) => Promise<readonly Sample[]>
  let api: (path: string) => Promise<Reply>

  interface Sample {
    readonly metric: Readonly<Record<string, string>>
    readonly value: readonly [number, string]
  }

  // biome-ignore lint/suspicious/noExplicitAny: of every shape
  type Reply = { readonly status: string; readonly data: any }

  before(async () => {
    receiver = await startReceiver()
    const [port, metricsPort, ownPort] = [await freePort(), await freePort(), await freePort()]
    const certificate = join(folder, 'ca.pem')
    await writeFile(certificate, createAuthority().cert)
    const token = 'a-token-for-the-metrics-of-a-test'
    const url = `http://127.0.0.1:${port}`
    settings = {
      DATA_DIR: join(folder, 'data'),
      DEMO: 'true',
      PORT: String(port),
      WORKERS: '2',
      METRICS_PORT: String(metricsPort),
      METRICS_TOKEN: token,
      METRICS_PER_ORGANIZATION: 'true',
      SMTP_CA: certificate,
      LOG_LEVEL: 'warn',
    }
    service = startService({ cwd: folder, environment: settings })
    await untilReady(service, url)
    await eventually('it has said so', () => service.stdout.includes('is listening.'))
    await live(url, receiver.url)

    await writeFile(join(folder, 'token'), token)
    const given = await readFile(join(observability, 'prometheus.yml'), 'utf8')
    const config = given
      .replaceAll('15s', '1s')
      .replace('hitl:9464', `127.0.0.1:${metricsPort}`)
      .replace('/run/secrets/metrics-token', join(folder, 'token'))
      .replace('- alerts.yml', `- ${rules}`)
    await writeFile(join(folder, 'prometheus.yml'), config)
    prometheus = spawn(
      'prometheus',
      [
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'tsdb')}`,
        `--web.listen-address=127.0.0.1:${ownPort}`,
      ],
      { stdio: 'ignore' },
    )
    api = async (path) => (await request(`http://127.0.0.1:${ownPort}`, 'GET', `/api/v1/${path}`)).body
    query = async (expression) => {
      const { status, data } = await api(`query?query=${encodeURIComponent(expression)}`)
      assert.equal(status, 'success', expression)
      return data.result
    }
    // Rates need two samples of each series, and the gauges are looked at every five seconds.
    const isThere = async (expression: string): Promise<boolean> => (await query(expression).catch(() => [])).length > 0
    await eventually('it has scraped a few times', () =>
      isThere('count_over_time(hitl_signing_key_age_seconds[1m]) > 2 and on () hitl_backlog_age_seconds'),
    )
  })
  after(async () => {
    prometheus?.kill('SIGTERM')
    if (prometheus?.exitCode === null) await once(prometheus, 'exit')
    await service?.end('SIGTERM')
    await receiver?.close()
  })

  /** One of everything that is counted. */
  async function live(url: string, callback: string): Promise<void> {
    const key = /Sample API key +(\S+)/.exec(service.stdout)?.[1] ?? ''
    const admin = await login(url, 'admin@example.com', 'password123')
    const body = { title: 'May I?', context: {}, callback_webhook: callback }
    const { body: made } = await request(url, 'POST', '/api/v1/requests', { as: key, body })
    const answer = { as: admin, body: { decision: 'approve' } }
    const decided = await request(url, 'POST', `/api/v1/requests/${made.id}/respond`, answer)
    assert.equal(decided.status, 200, JSON.stringify(decided.body))
    assert.equal((await request(url, 'GET', '/api/v1/requests')).status, 401)
    await eventually('the callback is there', () => receiver.requests.length > 0)
  }

  /** The selectors of an expression, such as `up{job="hitl"}`. */
  const selectors = (expression: string): readonly string[] =>
    [...expression.matchAll(/\b(?:hitl_\w+|up)\b(?:\{[^}]*\})?/g)].map(([found]) => found)
  /** What it groups by. */
  const groupings = (expression: string): readonly string[] =>
    [...expression.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, names = '']) => names.split(/, */))

  async function dashboardExpressions(): Promise<readonly string[]> {
    const place = join(observability, 'grafana/dashboards')
    const texts = await Promise.all((await readdir(place)).map((name) => readFile(join(place, name), 'utf8')))
    const panels = texts.flatMap((text) => JSON.parse(text).panels as { targets: { expr: string }[] }[])
    return panels.flatMap(({ targets }) => targets.map(({ expr }) => expr.replaceAll('$__rate_interval', '1m')))
  }

  test('scrapes both processes as one, and no alert of a healthy service fires', async () => {
    const { data } = await api('targets')
    assert.deepEqual(
      data.activeTargets.map(({ health, lastError }: { health: string; lastError: string }) => [health, lastError]),
      [['up', '']],
    )
    assert.equal((await query('hitl_processes'))[0]?.value[1], '2')
    assert.deepEqual(await query('ALERTS{alertstate="firing"}'), [])
    // The certificate of this test lives for an hour.
    assert.equal((await query('ALERTS{alertname="HitlCertificateExpires",alertstate="pending"}')).length, 1)
    const { data: found } = await api('rules')
    const health = found.groups.flatMap(({ rules: some }: { rules: { name: string; health: string }[] }) => some)
    assert.deepEqual(
      health.filter((rule: { health: string }) => rule.health !== 'ok'),
      [],
    )
  })

  test('a process with ROLE=worker has metrics on a port of its own too, behind the same token', async () => {
    const [port, metricsPort] = [await freePort(), await freePort()]
    const environment = { ...settings, ROLE: 'worker', WORKERS: '1', DEMO: 'false', PORT: String(port) }
    const worker = startService({ cwd: folder, environment: { ...environment, METRICS_PORT: String(metricsPort) } })
    try {
      await untilReady(worker, `http://127.0.0.1:${port}`)
      const url = `http://127.0.0.1:${metricsPort}`
      // Two loops look at the database, each in its own time.
      const looked = [/^hitl_signing_key_age_seconds/m, /^hitl_requests_open\{tier="other"\} [1-9]/m]
      const text = await eventually('both have looked at the database', async () => {
        const reply = await request(url, 'GET', '/metrics', { as: settings.METRICS_TOKEN ?? '' }).catch(() => null)
        return reply?.status === 200 && looked.every((figure) => figure.test(reply.body)) && String(reply.body)
      })
      assert.match(text, /^hitl_processes 1$/m)
      assert.match(text, /^hitl_callback_slots_in_use \d+$/m)
      assert.equal((await request(url, 'GET', '/metrics')).status, 401)
      assert.equal((await request(`http://127.0.0.1:${port}`, 'GET', '/metrics')).status, 404)
    } finally {
      await worker.end('SIGTERM')
    }
  })

  test('every metric and label of the rules and dashboards exists, and every panel shows something', async () => {
    const { data } = await api('rules')
    const ofRules: string[] = data.groups.flatMap(({ rules: some }: { rules: { query: string }[] }) =>
      some.map(({ query: expression }) => expression),
    )
    const ofDashboards = await dashboardExpressions()
    assert.ok(ofRules.length >= 20 && ofDashboards.length >= 40)
    const wrong: string[] = []
    for (const expression of [...ofRules, ...ofDashboards]) {
      const labels = new Set<string>()
      for (const selector of selectors(expression)) {
        const series = await query(selector)
        if (series.length === 0) wrong.push(`${selector} has no series: ${expression}`)
        for (const { metric } of series) for (const label of Object.keys(metric)) labels.add(label)
      }
      for (const name of groupings(expression)) if (!labels.has(name)) wrong.push(`${name} is no label: ${expression}`)
      const result = await query(expression)
      if (ofDashboards.includes(expression) && result.length === 0) wrong.push(`shows nothing: ${expression}`)
    }
    assert.deepEqual(wrong, [])
  })
})
