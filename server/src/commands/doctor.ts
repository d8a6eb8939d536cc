import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import type { Config } from '../config.ts'
import type { Run } from './command.ts'
import { readConfig } from './config-check.ts'
import { exposedEnvFile } from './config-sources.ts'
import { databaseFindings } from './doctor/database.ts'
import type { Finding } from './doctor/finding.ts'
import { machineFindings } from './doctor/machine.ts'
import { networkFindings } from './doctor/network.ts'
import { type Machine, settingsFindings } from './doctor/settings.ts'
import { exitConfig, exitFailed } from './outcome.ts'

export const run: Run = async ({ strict }, output) => {
  const { config, mistakes } = readConfig()
  const findings: readonly Finding[] = [
    ...mistakes.map(mistaken),
    ...exposedEnvFile().map(({ setting, message }) => ({
      check: 'settings.env-file-open',
      severity: 'wrong' as const,
      found: `${setting} ${message}`,
      next: `Run: chmod 600 ${setting}`,
    })),
    ...(config === null ? [] : await examine(config, await thisMachine())),
  ]
  const wrong = findings.filter(({ severity }) => severity === 'wrong')
  const ok = wrong.length === 0 && (strict !== true || findings.length === 0)
  output.result({ ok, findings }, asText(findings))
  if (mistakes.length > 0) return exitConfig
  return ok ? undefined : exitFailed
}

const mistaken = (found: string): Finding => ({
  check: 'settings.mistake',
  severity: 'wrong',
  found,
  next: 'Correct it: the service does not start with it. "hitl config check" shows every setting.',
})

/** `patienceSeconds`: for how long a transaction may be open. */
export async function examine(config: Config, machine: Machine, patienceSeconds?: number): Promise<readonly Finding[]> {
  const database = await databaseFindings(config, patienceSeconds)
  return [
    ...settingsFindings(config, machine),
    ...(await machineFindings(config, new Date())),
    ...database.findings,
    ...(await networkFindings(config, database.kids)),
  ]
}

async function thisMachine(): Promise<Machine> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  const [, soft = 'unlimited'] = /^Max open files +(\S+)/m.exec(limits) ?? []
  return { cores: availableParallelism(), openFiles: soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft) }
}

function asText(findings: readonly Finding[]): string {
  if (findings.length === 0) return 'Nothing was found.'
  const of = (severity: Finding['severity'], title: string): readonly string[] => {
    const some = findings.filter((finding) => finding.severity === severity)
    const lines = some.map(({ check, found, next }) => `- ${found}\n  ${next}  [${check}]`)
    return some.length === 0 ? [] : [`${title} (${some.length})\n${lines.join('\n')}`]
  }
  return [...of('wrong', 'Wrong'), ...of('weak', 'Weak')].join('\n\n')
}
