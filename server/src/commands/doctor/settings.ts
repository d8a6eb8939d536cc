import type { Config } from '../../config.ts'
import { isThisMachine } from '../../platform/network-address.ts'
import { warningsFor } from '../config-warnings.ts'
import { type Finding, findingsOf } from './finding.ts'

/** What the settings are judged by. */
export interface Machine {
  readonly cores: number
  /** How many files a process may have open; Infinity: unlimited, or unknown. */
  readonly openFiles: number
}

/** Where a warning of `config check` stops to describe and begins to advise, for most. */
const asFinding = ({ setting, message }: { readonly setting: string; readonly message: string }): Finding => ({
  check: `settings.${setting}`,
  severity: 'weak',
  found: `${setting} ${message}`,
  next: `Change ${setting} where "hitl config check" says that it comes from, and restart.`,
})

/** Random text has many different characters: 32 that are hexadecimal have 13 and more, nearly always. */
const isRandom = (secret: string): boolean =>
  new Set(secret).size >= 10 && !/password|change|example|secret/i.test(secret)

const commonPasswords = ['', 'admin', 'hitl', 'password', 'postgres', 'secret', 'test']

export function settingsFindings(config: Config, { cores, openFiles }: Machine): readonly Finding[] {
  const { SECRET_KEY, METRICS_TOKEN, METRICS_PORT, METRICS_HOST, DATABASE_URL } = config
  const password = DATABASE_URL === null ? null : passwordOf(DATABASE_URL)
  const files = config.MAX_CONNECTIONS + config.DATABASE_POOL + 100
  const random = 'Make one with "openssl rand -base64 48".'
  return [
    ...warningsFor(config).map(asFinding),
    ...findingsOf([
      [
        SECRET_KEY !== null && !isRandom(SECRET_KEY),
        'settings.weak-secret',
        'weak',
        'SECRET_KEY does not look random: who guesses it signs in as anybody.',
        `${random} Put the former one into SECRET_KEY_PREVIOUS, so that nobody is signed out.`,
      ],
      [
        METRICS_TOKEN !== null && !isRandom(METRICS_TOKEN),
        'settings.weak-metrics-token',
        'weak',
        'METRICS_TOKEN does not look random.',
        'Make one with "openssl rand -hex 32", and give it to your Prometheus.',
      ],
      [
        password !== null && commonPasswords.includes(password.toLowerCase()),
        'settings.weak-database-password',
        'weak',
        'The password in DATABASE_URL is one that everybody tries first.',
        'Set another one ("alter role ... password ..."), and change DATABASE_URL.',
      ],
      [
        METRICS_PORT !== null && METRICS_TOKEN === null && !isThisMachine(METRICS_HOST),
        'settings.metrics-open',
        'weak',
        `Other machines can read the metrics at ${METRICS_HOST}:${METRICS_PORT} without a token: how many requests there are, and of what.`,
        'Set METRICS_TOKEN, or METRICS_HOST=127.0.0.1.',
      ],
      [
        config.WORKERS > cores,
        'settings.workers',
        'weak',
        `WORKERS=${config.WORKERS}, but there are ${cores} cores: processes take turns, and each has its connections to the database.`,
        `Set WORKERS=${cores} or less.`,
      ],
      [
        config.production && config.DATABASE_POOL < 5,
        'settings.small-pool',
        'weak',
        `DATABASE_POOL=${config.DATABASE_POOL}: calls and deliveries wait for each other.`,
        'Set DATABASE_POOL=10, the default, unless the database has few connections to give.',
      ],
      [
        openFiles < files,
        'machine.open-files',
        'weak',
        `A process may open ${openFiles} files, and needs up to ${files} with MAX_CONNECTIONS=${config.MAX_CONNECTIONS}: beyond that, calls and connections to the database fail.`,
        `Raise the limit (LimitNOFILE=${files} in the unit, ulimits in compose.yaml), or lower MAX_CONNECTIONS.`,
      ],
      [
        config.production && config.SMTP_URL === null,
        'mail.none',
        'weak',
        'SMTP_URL is not set: nobody gets a link for a forgotten password, an invitation or a warning by mail.',
        'Set SMTP_URL and MAIL_FROM.',
      ],
    ]),
  ]
}

/** Null where it is given in another way, or none is needed: over a socket PostgreSQL knows the account. */
function passwordOf(databaseUrl: string): string | null {
  const url = new URL(databaseUrl)
  const host = url.searchParams.get('host') ?? url.hostname
  if (host.startsWith('/')) return null
  const given = url.searchParams.get('password') ?? decodeURIComponent(url.password)
  return given === '' ? null : given
}
