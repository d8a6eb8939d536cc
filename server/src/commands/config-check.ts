import { type Config, ConfigError, loadConfig, settings } from '../config.ts'
import type { Run } from './command.ts'
import type { DatabaseCheck } from './config-check-database.ts'
import { exposedEnvFile, type Source, sourceOf } from './config-sources.ts'
import { type Warning, warningsFor } from './config-warnings.ts'
import { exitConfig } from './outcome.ts'

interface ShownSetting {
  readonly name: string
  readonly value: string
  readonly source: string
}

interface Report {
  readonly mistakes: readonly string[]
  readonly warnings: readonly Warning[]
  readonly settings: readonly ShownSetting[]
  readonly database: DatabaseCheck | null
}

export const run: Run = async ({ connect, strict }, output) => {
  const read = readConfig()
  const database = connect === true && read.config !== null ? await connected(read.config) : null
  const warnings = [
    ...exposedEnvFile(),
    ...(read.config === null ? [] : warningsFor(read.config)),
    ...(database?.warnings ?? []),
  ]
  const inEffect = read.config === null ? [] : shownSettings(read.config)
  const report = { mistakes: read.mistakes, warnings, settings: inEffect, database }
  const exitCode = exitCodeOf(report, strict === true)
  output.result(asJson(report, exitCode === 0), asText(report, exitCode === 0))
  return exitCode
}

/** Loaded only when asked for: a check without a connection takes a third of the time. */
async function connected(config: Config): Promise<DatabaseCheck> {
  const { checkDatabase } = await import('./config-check-database.ts')
  return checkDatabase(config)
}

export function readConfig(): { readonly config: Config | null; readonly mistakes: readonly string[] } {
  try {
    return { config: loadConfig(), mistakes: [] }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return { config: null, mistakes: error.mistakes.map(withSource) }
  }
}

/** Adds to a mistake where its setting was set, which is where to correct it. */
function withSource(mistake: string): string {
  const name = /^[A-Z][A-Z0-9_]+/.exec(mistake)?.[0] ?? ''
  const source = name in settings ? sourceOf(name).name : 'default'
  return source === 'default' ? mistake : `${mistake} (from ${source})`
}

function exitCodeOf({ mistakes, warnings, database }: Report, strict: boolean): number {
  if (mistakes.length > 0 || (strict && warnings.length > 0)) return exitConfig
  return database?.exitCode ?? 0
}

function shownSettings(config: Config): readonly ShownSetting[] {
  return Object.entries(settings).map(([name, setting]) => {
    const source = sourceOf(name)
    const value = config[name as keyof typeof settings]
    return { name, value: 'secret' in setting ? masked(value) : shown(value, source, setting), source: source.name }
  })
}

/** The value in effect when it is a plain one; else the text that was written. */
function shown(value: unknown, source: Source, setting: { readonly example: string }): string {
  const entries = Array.isArray(value) ? value : [value]
  const isPlain = entries.every((entry) => ['string', 'number', 'boolean'].includes(typeof entry))
  if (isPlain && entries.length > 0) return entries.join(',')
  if (source.name !== 'default') return source.text ?? '(set)'
  return value === null || entries.length === 0 ? '(not set)' : setting.example
}

function masked(value: unknown): string {
  if (value === null || (Array.isArray(value) && value.length === 0)) return '(not set)'
  return maskedUrl(String(value)) ?? '(set, not shown)'
}

/** A database URL is shown without its password, because the rest is worth checking. Other secrets are not shown at all. */
function maskedUrl(value: string): string | null {
  if (!/^postgres(ql)?:/.test(value)) return null
  const url = new URL(value)
  if (url.password !== '') url.password = '***'
  for (const name of url.searchParams.keys()) if (/password|key|secret/i.test(name)) url.searchParams.set(name, '***')
  return url.href
}

function asJson({ mistakes, warnings, settings: inEffect, database }: Report, ok: boolean) {
  return {
    ok,
    mistakes,
    warnings,
    settings: Object.fromEntries(inEffect.map(({ name, value, source }) => [name, { value, source }])),
    database: database?.facts ?? null,
  }
}

function asText({ mistakes, warnings, settings: inEffect, database }: Report, ok: boolean): string {
  const wide = Math.max(0, ...inEffect.map(({ name }) => name.length))
  const values = Math.min(48, Math.max(0, ...inEffect.map(({ value }) => value.length)))
  const rows = inEffect.map(({ name, value, source }) => `  ${name.padEnd(wide)}  ${value.padEnd(values)}  ${source}`)
  const parts = [
    ...(rows.length === 0 ? [] : [`Settings in effect\n${rows.join('\n')}`]),
    ...(mistakes.length === 0 ? [] : [listed(mistakes.length, 'mistake', mistakes)]),
    ...(warnings.length === 0
      ? []
      : [
          listed(
            warnings.length,
            'warning',
            warnings.map(({ setting, message }) => `${setting} ${message}`),
          ),
        ]),
    ...(database === null ? [] : [`Database\n${database.lines.map((line) => `  ${line}`).join('\n')}`]),
    ok ? 'The service can start with these settings.' : 'Correct this, then run the check again.',
  ]
  return parts.join('\n\n')
}

function listed(count: number, what: string, items: readonly string[]): string {
  return `${count} ${what}${count === 1 ? '' : 's'}\n${items.map((item) => `- ${item}`).join('\n')}`
}
