import type { Verification } from './audit-verify.ts'
import type { Finding } from './audit-verify-findings.ts'

/** How many findings are shown. JSON holds up to 1 000; the rest are only counted. */
const shown = 20

export function verificationText(verification: Verification, name: string): string {
  const { ok, changed, findings, findingCount, limits } = verification
  const verdict = changed
    ? `NOT intact: ${name} was changed, ${counted(findingCount, 'finding')}`
    : `NOT proven: nothing shows that ${name} was changed, nor that it was not, ${counted(findingCount, 'finding')}`
  const parts = [
    ok ? `Intact: ${name}` : verdict,
    ...(ok ? [] : [found(findings, findingCount)]),
    facts(verification),
    ...(limits.length === 0 ? [] : [`What it does not prove:\n${limits.map((limit) => `- ${limit}`).join('\n')}`]),
  ]
  return parts.join('\n\n')
}

function found(findings: readonly Finding[], count: number): string {
  const lines = findings.slice(0, shown).map((finding) => `- ${place(finding)}${finding.message} [${finding.code}]`)
  return [...lines, ...(count > shown ? [`- and ${number(count - shown)} more (--json lists up to 1 000)`] : [])].join(
    '\n',
  )
}

function place({ line, position, seal }: Finding): string {
  const where = [
    ...(line === null ? [] : [`line ${line}`]),
    ...(position === null ? [] : [`position ${position}`]),
    ...(seal === null ? [] : [`seal ${seal}`]),
  ]
  return where.length === 0 ? '' : `${where.join(', ')}: `
}

function facts(verification: Verification): string {
  const { ok, events, seals, erased, firstPosition, lastPosition, lastSeal, exportedAt, organizationId, heads } =
    verification
  const range = lastPosition === null ? '' : `, positions ${firstPosition} to ${lastPosition}`
  const rows: readonly (readonly [string, string])[] = [
    ['Organization', organizationId ?? 'unknown'],
    ['Events', `${number(events)} in ${counted(seals, 'seal')}${range}`],
    ...(erased === 0
      ? []
      : [['Erased', `personal data of ${counted(erased, 'event')}${ok ? ', as the audit itself says' : ''}`] as const]),
    ['Last seal', lastSeal === null ? 'none' : `number ${lastSeal.number}, of ${lastSeal.sealedAt}`],
    ['Exported', exportedAt ?? 'unknown'],
    [
      'Heads outside',
      heads.compared === 0 ? 'none compared' : `${heads.compared} compared, up to seal ${heads.comparedUpToSeal}`,
    ],
  ]
  return rows.map(([label, value]) => `  ${label.padEnd(14)}${value}`).join('\n')
}

/** In groups of three digits. */
function number(value: number): string {
  return value.toLocaleString('en').replaceAll(',', ' ')
}

function counted(count: number, what: string): string {
  return `${number(count)} ${what}${count === 1 ? '' : 's'}`
}
