import { flag, integer, oneOf, type Rule, type Values } from './setting.ts'

export const serviceSettings = {
  NODE_ENV: oneOf('How strict the start is.', 'development', ['development', 'test', 'production']),
  ROLE: oneOf('api serves calls, worker delivers callbacks and ends requests whose time is up, all does both.', 'all', [
    'all',
    'api',
    'worker',
  ]),
  WORKERS: integer('Processes that share the port.', 1, 1, 64),
  SHUTDOWN_GRACE_SECONDS: integer('How long a stop waits for calls and deliveries under way.', 20, 0, 600),
  DEMO: flag('Sample accounts, an API key and sample requests at the start. Refused in production.', false),
  LOG_LEVEL: oneOf('How much is logged.', 'info', ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
  LOG_FORMAT: oneOf('How lines of the log look; auto: pretty on a terminal outside production, else json.', 'auto', [
    'auto',
    'json',
    'pretty',
  ]),
}

export type ServiceSettings = Values<typeof serviceSettings>

export const isProduction = ({ NODE_ENV }: Pick<ServiceSettings, 'NODE_ENV'>): boolean => NODE_ENV === 'production'

export const serviceRules = (values: ServiceSettings): readonly Rule[] => [
  [isProduction(values) && values.DEMO, 'DEMO must be false in production: it makes accounts with known passwords'],
]
