import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { parse } from 'yaml'
import { settings } from '../src/config.ts'

// Needs no container engine: it only compares these files with the repository.
const root = join(import.meta.dirname, '../..')
const read = (name: string): string => readFileSync(join(root, name), 'utf8')

/** The sources of COPY instructions that come from the repository. */
function copied(): readonly string[] {
  const lines = read('Dockerfile')
    .split('\n')
    .filter((line) => /^COPY (?!--from)/.test(line))
  return lines.flatMap((line) => line.split(/\s+/).slice(1, -1))
}

test('everything that the Dockerfile copies exists and is not excluded by .dockerignore', () => {
  const allowed = read('.dockerignore')
    .split('\n')
    .filter((line) => line.startsWith('!'))
    .map((line) => line.slice(1))
  assert.ok(copied().length >= 8)
  for (const source of copied()) {
    assert.ok(existsSync(join(root, source)), `${source} does not exist`)
    assert.ok(allowed.includes(source), `${source} is not let through by .dockerignore`)
  }
})

test('the image starts what npm start starts, with the same flags', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const command = /^CMD (\[.*\])$/m.exec(read('Dockerfile'))?.[1]
  assert.ok(command)
  assert.equal((JSON.parse(command) as string[]).join(' '), scripts.start)
})

test('the image runs as an unprivileged user, uses /readyz as its health check, and stores data in a volume', () => {
  const dockerfile = read('Dockerfile')
  assert.match(dockerfile, /^USER node$/m)
  assert.match(dockerfile, /^HEALTHCHECK [\s\S]*?\/readyz/m)
  assert.match(dockerfile, /^VOLUME \/data$/m)
  assert.match(dockerfile, /DATA_DIR=\/data/)
  assert.ok(dockerfile.indexOf('USER node') < dockerfile.indexOf('CMD ['))
})

test('compose.yaml sets only settings that exist, and gives no secret a value', () => {
  const compose = read('compose.yaml')
  const service = compose.slice(compose.indexOf('  hitl:'), compose.indexOf('\n  db:'))
  const names = [...service.matchAll(/^ {6}([A-Z_]+):/gm)].map((match) => match[1] ?? '')
  assert.ok(names.includes('SECRET_KEY') && names.includes('DATABASE_URL'))
  for (const name of names) assert.ok(name in settings, `${name} is no setting`)
  assert.ok(names.includes('DATABASE_INSECURE'), 'its database has no TLS, and production starts on it only when told')
  assert.match(compose, /SECRET_KEY: \$\{SECRET_KEY:\?/)
  assert.match(compose, /POSTGRES_PASSWORD: \$\{POSTGRES_PASSWORD:\?/)
  assert.match(compose, /image: postgres:1[6-8]/)
})

describe('what is there for Prometheus and Grafana', () => {
  const at = (name: string): string => join('deploy/observability', name)
  const alerts = () =>
    (parse(read(at('alerts.yml'))).groups as { rules: Alert[] }[]).flatMap(({ rules }) => rules) as readonly Alert[]

  interface Alert {
    readonly alert: string
    readonly expr: string
    readonly labels: { readonly severity: string }
    readonly annotations: { readonly summary: string; readonly runbook: string }
  }

  test('compose.yaml mounts files that exist, adds both with the profile alone, and publishes them to this machine alone', () => {
    const { services, volumes, secrets } = parse(read('compose.yaml'))
    const added = Object.entries(services as Record<string, Compose>).filter(
      ([, { profiles }]) => profiles !== undefined,
    )
    assert.deepEqual(
      added.map(([name]) => name),
      ['prometheus', 'grafana'],
    )
    for (const [name, service] of added) {
      assert.deepEqual(service.profiles, ['observability'])
      for (const port of service.ports) assert.match(port, /^127\.0\.0\.1:/, name)
      for (const secret of service.secrets) assert.ok(secret in secrets, secret)
      for (const mount of service.volumes) {
        const [source = ''] = mount.split(':')
        assert.ok(source.startsWith('./') ? existsSync(join(root, source)) : source in volumes, `${name}: ${mount}`)
      }
    }
    const { scrape_configs: jobs } = parse(read(at('prometheus.yml')))
    assert.match(services.hitl.environment.METRICS_PORT, /^\$\{METRICS_TOKEN:\+9464\}$/)
    assert.deepEqual(jobs[0].static_configs, [{ targets: ['hitl:9464'] }])
    const token = jobs[0].authorization.credentials_file.replace('/run/secrets/', '')
    assert.ok(services.prometheus.secrets.includes(token))
    const [source] = parse(read(at('grafana/provisioning/datasources/prometheus.yml'))).datasources
    assert.equal(new URL(source.url).hostname, 'prometheus')
    const [provider] = parse(read(at('grafana/provisioning/dashboards/hitl.yml'))).providers
    const dashboards = services.grafana.volumes.find((mount: string) => mount.includes('/grafana/dashboards:'))
    assert.equal(dashboards.split(':')[1], provider.options.path)
  })

  interface Compose {
    readonly profiles?: readonly string[]
    readonly ports: readonly string[]
    readonly secrets: readonly string[]
    readonly volumes: readonly string[]
  }

  test('every alert has its row in the runbook, with all that it needs, and nothing else has one', () => {
    const runbook = read('docs/operations.md').split('## Alerts')[1]?.split('\n## ')[0] ?? ''
    const rows = runbook.split('\n').filter((line) => line.startsWith('| `'))
    const entries = rows.map((row) => row.split(' | ').map((cell) => cell.replace(/^\| |\|$/g, '').trim()))
    assert.deepEqual(
      entries.map(([name]) => name?.replaceAll('`', '')),
      alerts().map(({ alert }) => alert),
    )
    for (const entry of entries) {
      assert.equal(entry.length, 4, entry[0])
      for (const cell of entry) assert.ok(cell.length > 7, `${entry[0]}: ${cell}`)
    }
    for (const { alert, labels, annotations } of alerts()) {
      assert.ok(['critical', 'warning', 'info'].includes(labels.severity), alert)
      assert.match(annotations.summary, /^[A-Z].*\.$/, alert)
      assert.equal(annotations.runbook, 'docs/operations.md#alerts')
    }
  })

  interface Source {
    readonly type: string
    readonly uid: string
  }

  const files = readdirSync(join(root, at('grafana/dashboards')))
  test('there are four dashboards', () =>
    assert.deepEqual(files.sort(), ['callbacks.json', 'database.json', 'decisions.json', 'service.json']))
  for (const file of files) {
    test(`${file} has what Grafana needs: a version, a data source to choose, panels with a place and a query`, () => {
      const { uid, title, schemaVersion, templating, panels } = JSON.parse(read(at(`grafana/dashboards/${file}`)))
      assert.equal(uid, `hitl-${file.replace('.json', '')}`)
      assert.match(title, /^HITL: /)
      assert.ok(schemaVersion >= 36)
      const [variable] = templating.list
      assert.deepEqual([variable.name, variable.type, variable.query], ['datasource', 'datasource', 'prometheus'])
      assert.equal(new Set(panels.map(({ id }: { id: number }) => id)).size, panels.length)
      const taken = new Set<string>()
      for (const panel of panels) {
        const { x, y, w, h } = panel.gridPos
        assert.ok(x >= 0 && w > 0 && x + w <= 24 && h > 0, panel.title)
        for (let column = x; column < x + w; column += 1)
          for (let row = y; row < y + h; row += 1) {
            assert.ok(!taken.has(`${column} ${row}`), `${panel.title} lies on another`)
            taken.add(`${column} ${row}`)
          }
        assert.ok(panel.title && panel.description && panel.fieldConfig.defaults.unit, panel.title)
        assert.ok(['stat', 'timeseries'].includes(panel.type))
        assert.ok(panel.targets.length > 0, panel.title)
        const { targets } = panel as { targets: readonly { refId: string; expr: string; datasource: Source }[] }
        assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length)
        for (const { expr, datasource } of [...targets, { expr: 'x', datasource: panel.datasource }]) {
          assert.ok(expr !== '')
          const { type, uid: source } = datasource
          assert.ok(type === 'prometheus' && /^\$\{datasource\}$/.test(source), panel.title)
        }
      }
    })
  }

  test('every metric is on a dashboard or in an alert', () => {
    const documented = [...read('docs/operations.md').matchAll(/^\| `(hitl_\w+)` \|/gm)].map(([, name = '']) => name)
    const used = [read(at('alerts.yml')), ...files.map((file) => read(at(`grafana/dashboards/${file}`)))].join('\n')
    assert.ok(documented.length > 30)
    assert.deepEqual(
      documented.filter((name) => !new RegExp(`\\b${name}(_bucket|_sum|_count)?\\b`).test(used)),
      [],
    )
  })
})
