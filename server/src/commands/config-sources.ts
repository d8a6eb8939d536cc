import { statSync } from 'node:fs'
import { givenSettings, settings } from '../config.ts'
import type { Warning } from './config-warnings.ts'

const envFile = '.env'

export interface Source {
  /** `default`, `environment`, `.env`, or the file behind NAME_FILE. */
  readonly name: string
  /** The text found there; null when it is the default, or in a file. */
  readonly text: string | null
}

/** Where the value of a setting comes from. */
export function sourceOf(name: string): Source {
  const { environment, fromFile } = givenSettings()
  for (const variable of [name, `${name}_FILE`]) {
    // As in loadConfig: the environment overrides .env, and an empty value counts as unset.
    const text = (environment[variable] ?? fromFile[variable] ?? '').trim()
    if (text === '') continue
    const place = environment[variable] === undefined ? envFile : 'environment'
    return variable === name ? { name: place, text } : { name: `${variable} (${place})`, text: null }
  }
  return { name: 'default', text: null }
}

/** `.env` may hold secrets, so other users of the machine must not be able to read it. */
export function exposedEnvFile(): readonly Warning[] {
  const { fromFile } = givenSettings()
  const secrets = Object.entries(settings).filter(([name, setting]) => 'secret' in setting && fromFile[name])
  if (secrets.length === 0 || process.platform === 'win32') return []
  const others = statSync(envFile).mode & 0o077
  if (others === 0) return []
  return [
    { setting: envFile, message: `holds secrets, and other users of this machine may read it: chmod 600 ${envFile}` },
  ]
}
