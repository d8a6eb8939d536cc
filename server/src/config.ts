import { readFileSync } from 'node:fs'
import { attachmentRules, attachmentSettings } from './settings/attachments.ts'
import { callbackAllowOf, callbackSettings } from './settings/callbacks.ts'
import { consultationSettings } from './settings/consultations.ts'
import { databaseRules, databaseSettings } from './settings/database.ts'
import { readEnvFile } from './settings/env-file.ts'
import { eventSettings } from './settings/events.ts'
import { httpSettings, publicUrlOf } from './settings/http.ts'
import { identityRules, identitySettings } from './settings/identity.ts'
import { mailRules, mailSettings } from './settings/mail.ts'
import { metricsRules, metricsSettings } from './settings/metrics.ts'
import { misspeltNames } from './settings/misspelt.ts'
import { realtimeRules, realtimeSettings } from './settings/realtime.ts'
import { secretRules, secretSettings } from './settings/secrets.ts'
import { isProduction, serviceRules, serviceSettings } from './settings/service.ts'
import type { Setting, Values } from './settings/setting.ts'
import { traceSettings } from './settings/traces.ts'

/** The settings by subject. A test keeps `.env.example` in step with them. */
export const sections = {
  Service: serviceSettings,
  'Web server': httpSettings,
  Database: databaseSettings,
  Secrets: secretSettings,
  'People and sign-in': identitySettings,
  Requests: consultationSettings,
  'Waits and streams': realtimeSettings,
  Attachments: attachmentSettings,
  Callbacks: callbackSettings,
  Mail: mailSettings,
  Audit: eventSettings,
  Metrics: metricsSettings,
  Traces: traceSettings,
}

/** Every setting of the service, by name. */
export const settings = {
  ...serviceSettings,
  ...httpSettings,
  ...databaseSettings,
  ...secretSettings,
  ...identitySettings,
  ...consultationSettings,
  ...realtimeSettings,
  ...attachmentSettings,
  ...callbackSettings,
  ...mailSettings,
  ...eventSettings,
  ...metricsSettings,
  ...traceSettings,
}

const rules = [
  serviceRules,
  databaseRules,
  secretRules,
  identityRules,
  attachmentRules,
  realtimeRules,
  mailRules,
  metricsRules,
]

export interface Config extends Values<typeof settings> {
  /** No trailing slash. */
  readonly publicUrl: string
  readonly production: boolean
}

/** Raised with every mistake at once; `main.ts` prints it and exits with 78 (EX_CONFIG of sysexits.h). */
export class ConfigError extends Error {
  readonly mistakes: readonly string[]

  constructor(mistakes: readonly string[]) {
    super(
      `The configuration has ${mistakes.length === 1 ? 'a mistake' : `${mistakes.length} mistakes`}:\n- ${mistakes.join('\n- ')}`,
    )
    this.name = 'ConfigError'
    this.mistakes = mistakes
  }
}

/** Reads every setting from the environment, then from `.env`; `NAME_FILE` names a file to read instead. Throws ConfigError. */
export function loadConfig(environment: NodeJS.ProcessEnv = process.env, envFile = '.env'): Config {
  const known = Object.keys(settings)
  const file = readEnvFile(envFile, known)
  const mistakes = [...file.mistakes, ...misspeltNames(envFile, file, environment, known)]
  const source = { ...file.values, ...environment }
  const entries = Object.entries(settings).map(([name, setting]: [string, Setting<unknown>]) => {
    try {
      const given = givenValue(source, name)
      if (given !== null) return [name, setting.read(given)]
      return [name, source[name] === undefined ? setting.fallback : (setting.whenEmpty ?? setting.fallback)]
    } catch (error) {
      const { message } = error as Error
      mistakes.push(message.startsWith(name) ? message : `${name} ${message}`)
      return [name, setting.fallback]
    }
  })
  const values = Object.fromEntries(entries) as Values<typeof settings>
  const broken = rules.flatMap((rulesOf) => rulesOf(values)).filter(([isBroken]) => isBroken)
  // A setting that could not be read is reported once: the rules see its fallback.
  const unread = new Set(mistakes.map(nameIn))
  mistakes.push(...broken.map(([, mistake]) => mistake).filter((mistake) => !unread.has(nameIn(mistake))))
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  return Object.freeze({
    ...values,
    CALLBACK_ALLOW: callbackAllowOf(values),
    publicUrl: publicUrlOf(values),
    production: isProduction(values),
  })
}

function nameIn(mistake: string): string | undefined {
  return mistake.split(' ')[0]
}

/** The raw settings: `config check` uses them to report where a value comes from. */
export function givenSettings(environment: NodeJS.ProcessEnv = process.env, envFile = '.env') {
  return { environment, fromFile: readEnvFile(envFile, []).values }
}

/** An empty value counts as unset, except where its setting says so: compose files pass empty strings for unset variables. */
function givenValue(source: NodeJS.ProcessEnv, name: string): string | null {
  const direct = source[name]?.trim() ?? ''
  const file = source[`${name}_FILE`]?.trim() ?? ''
  if (direct !== '' && file !== '') throw new Error(`is set twice, directly and through ${name}_FILE: keep one`)
  if (file === '') return direct === '' ? null : direct
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw new Error(`cannot be read from ${name}_FILE: ${(error as Error).message}`)
  }
}
