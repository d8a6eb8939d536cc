import formatRules from 'ajv-formats/dist/formats.js'
import { flaw } from './words.ts'

/** The service's rules: of the same library, looking at no more than it does. */
const maxCharacters = 2_048

type Rule = RegExp | ((text: string) => boolean)
type Rules = Readonly<Record<string, Rule | { readonly validate: Rule } | true>>

// A bundler and Node give the exports of this package in different ways.
const given = formatRules as unknown as {
  readonly fullFormats?: Rules
  readonly default?: { readonly fullFormats: Rules }
}
const rules: Rules = given.fullFormats ?? given.default?.fullFormats ?? {}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export function isOfFormat(text: string, format: string): boolean {
  if (text.length > maxCharacters) return false
  if (format === 'uuid') return uuid.test(text)
  const found = rules[format]
  if (found === undefined || found === true) return true
  const rule = 'validate' in found ? found.validate : found
  return rule instanceof RegExp ? rule.test(text) : rule(text)
}

const words = {
  date: 'flaw.format.date',
  'date-time': 'flaw.format.date_time',
  time: 'flaw.format.time',
  email: 'flaw.format.email',
  uri: 'flaw.format.uri',
  uuid: 'flaw.format.uuid',
  ipv4: 'flaw.format.ipv4',
  ipv6: 'flaw.format.ipv6',
  hostname: 'flaw.format.hostname',
} as const

export const formatFlaw = (format: string): string => flaw(words[format as keyof typeof words] ?? 'flaw.pattern')
