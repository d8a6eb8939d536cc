import formatRules from 'ajv-formats/dist/formats.js'
import { isId } from '../../platform/ids.ts'

/** The library's rules look at the whole text, some in quadratic time: nothing of these kinds is longer. */
const maxCharacters = 2_048

const names = ['date', 'date-time', 'time', 'email', 'uri', 'ipv4', 'ipv6', 'hostname'] as const
type Rule = RegExp | ((text: string) => boolean)

function ruleOf(name: (typeof names)[number]): (text: string) => boolean {
  const found = formatRules.fullFormats[name] as Rule | { readonly validate: Rule }
  const rule = 'validate' in found ? found.validate : found
  return rule instanceof RegExp ? (text) => rule.test(text) : rule
}

/** Whether a text is of the format, as ajv-formats has it; of `uuid` only the form that this service has, too. */
export const formats: Readonly<Record<string, (text: string) => boolean>> = Object.fromEntries(
  [...names.map((name) => [name, ruleOf(name)] as const), ['uuid', isId] as const].map(([name, isRight]) => [
    name,
    (text: string) => text.length <= maxCharacters && isRight(text),
  ]),
)

/** What the format asks for, as the end of "must be ...". */
export const formatWords: Readonly<Record<string, string>> = {
  date: 'a date, such as 2026-01-31',
  'date-time': 'a time with an offset, such as 2026-01-31T09:00:00Z',
  time: 'a time of day with an offset, such as 09:00:00Z',
  email: 'an email address',
  uri: 'a URI, such as https://example.com/page',
  uuid: 'a UUID',
  ipv4: 'an IPv4 address',
  ipv6: 'an IPv6 address',
  hostname: 'a host name',
}
