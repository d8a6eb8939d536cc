import { statSync } from 'node:fs'
import { givenSettings, settings } from '../config.ts'
import type { Warning } from './config-warnings.ts'

const envFile = '.env'
const known: readonly string[] = Object.keys(settings)

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

/** Unknown names that look like a setting: a typo there means that the service runs with other settings than meant. */
export function misspeltNames(): readonly Warning[] {
  const { environment, fromFile } = givenSettings()
  const names = [
    ...Object.keys(fromFile).map((name) => ({ name, place: `in ${envFile}` })),
    // Short names of other programs can look like ours by chance.
    ...Object.keys(environment)
      .filter((name) => name.length >= 8)
      .map((name) => ({ name, place: 'in the environment' })),
  ]
  return names.flatMap(({ name, place }) => {
    const bare = name.replace(/_FILE$/, '')
    if (known.includes(name) || known.includes(bare)) return []
    const meant = known.find((setting) => isOneSlipAway(plain(bare), plain(setting)))
    return meant === undefined ? [] : [{ setting: name, message: `${place} is not a setting. Did you mean ${meant}?` }]
  })
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

const plain = (name: string): string => name.replaceAll('_', '').toUpperCase()

/** Equal, or with one letter too many, too few, wrong, or swapped with its neighbour. */
function isOneSlipAway(a: string, b: string): boolean {
  if (a === b) return true
  if (Math.abs(a.length - b.length) > 1 || Math.min(a.length, b.length) < 4) return false
  let start = 0
  while (start < a.length && a[start] === b[start]) start += 1
  const [restA, restB] = [a.slice(start), b.slice(start)]
  if (restA.slice(1) === restB || restA === restB.slice(1) || restA.slice(1) === restB.slice(1)) return true
  return restA[0] === restB[1] && restA[1] === restB[0] && restA.slice(2) === restB.slice(2)
}
