import { nearestName } from '../platform/nearest-name.ts'
import type { EnvFile } from './env-file.ts'

/**
 * Unknown names that look like a setting: a typo there means that the service runs with other settings than meant, on
 * another database perhaps. Not where the setting that is near is set too.
 */
export function misspeltNames(
  path: string,
  file: EnvFile,
  environment: NodeJS.ProcessEnv,
  known: readonly string[],
): readonly string[] {
  const isSet = (name: string): boolean =>
    [name, `${name}_FILE`].some((variable) => (environment[variable] ?? file.values[variable] ?? '') !== '')
  const meantBy = (name: string): string | null => {
    const bare = name.replace(/_FILE$/, '')
    if (known.includes(name) || known.includes(bare)) return null
    const meant = nearestName(bare, known, 1)
    return meant === null || isSet(meant) ? null : meant
  }
  const inFile = [...file.lines].map(([name, line]) => [name, `${path}, line ${line}: ${name}`] as const)
  const inEnvironment = Object.keys(environment)
    // Short names of other programs can look like ours by chance.
    .filter((name) => name.length >= 8)
    .map((name) => [name, `${name} (in the environment)`] as const)
  return [...inFile, ...inEnvironment].flatMap(([name, shown]) => {
    const meant = meantBy(name)
    return meant === null ? [] : [`${shown} is not a setting. Did you mean ${meant}?`]
  })
}
