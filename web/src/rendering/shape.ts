import { type Language, languageOfFile } from './language.ts'
import { isObject } from './pointer.ts'

/** What a value is, as far as it says so itself: how it is drawn where the agent gave no hint. */
export type Shape =
  | { readonly is: 'nothing' | 'flag' | 'number' | 'line' | 'text' | 'record' | 'list' | 'items' | 'email' | 'mail' }
  | { readonly is: 'money'; readonly currency: string }
  | { readonly is: 'url'; readonly url: URL }
  | { readonly is: 'date'; readonly at: Date; readonly hasTime: boolean }
  | { readonly is: 'code'; readonly language: Language | null }
  | { readonly is: 'patch' }
  | { readonly is: 'change'; readonly before: unknown; readonly after: unknown; readonly language: Language | null }
  | { readonly is: 'table'; readonly columns: readonly string[] }

/** Where it stands. */
export interface Around {
  readonly name: string
  readonly beside: Readonly<Record<string, unknown>>
}

const nowhere: Around = { name: '', beside: {} }

export function shapeOf(value: unknown, around: Around = nowhere): Shape {
  if (value === null || value === undefined) return { is: 'nothing' }
  if (typeof value === 'boolean') return { is: 'flag' }
  if (typeof value === 'number') return numberShape(around)
  if (typeof value === 'string') return textShape(value, around)
  if (Array.isArray(value)) return listShape(value)
  return isObject(value) ? recordShape(value) : { is: 'nothing' }
}

const moneyName = /(?:^|_)(?:amount|price|total|subtotal|cost|fee|balance|refund|budget|salary)$/i

/** A number is money only where a currency stands beside it; whether it counts cents is not known, so it is not rewritten. */
function numberShape({ name, beside }: Around): Shape {
  const currency = beside.currency
  const isMoney = moneyName.test(snake(name)) && typeof currency === 'string' && /^[A-Za-z]{3}$/.test(currency)
  return isMoney ? { is: 'money', currency: currency.toUpperCase() } : { is: 'number' }
}

const snake = (name: string): string => name.replace(/([a-z0-9])([A-Z])/g, '$1_$2')

const dateTime = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)$/
const date = /^\d{4}-\d\d-\d\d$/
const address = /^[^\s@<>"',;:]{1,64}@[a-z0-9-]+(?:\.[a-z0-9-]+)+$/i
const sqlStart =
  /^\s*(?:select|insert|update|delete|with|alter|create|drop|truncate|grant|revoke|merge|begin|explain)\b/i
const sqlName = /(?:^|_)(?:sql|query|statement|statements|migration)$/i
const shellName = /(?:^|_)(?:command|cmd|script|shell|bash|commandline|run)$/i
const codeName =
  /(?:^|_)(?:content|contents|code|source|body|text|new_string|new_text|file_text|template|yaml|manifest|config|hcl)$/i
const fileNames = ['path', 'file', 'file_path', 'filename', 'filePath', 'file_name', 'name']

/** Longer than this is no date, address or link that somebody reads at a glance. */
const longestLine = 200

function textShape(value: string, { name, beside }: Around): Shape {
  if (value.length <= longestLine && !value.includes('\n')) {
    if (dateTime.test(value) || date.test(value)) return dateShape(value)
    if (address.test(value)) return { is: 'email' }
    const url = webUrl(value)
    if (url !== null) return { is: 'url', url }
  }
  const called = snake(name)
  if (isPatch(value)) return { is: 'patch' }
  if (sqlName.test(called) && sqlStart.test(value)) return { is: 'code', language: 'sql' }
  if (shellName.test(called)) return { is: 'code', language: 'shellscript' }
  if (codeName.test(called)) {
    const path = fileNames.map((file) => beside[file]).find((file) => typeof file === 'string')
    const language = typeof path === 'string' ? languageOfFile(path) : null
    if (language !== null) return { is: 'code', language }
    if (/yaml|manifest/i.test(called)) return { is: 'code', language: 'yaml' }
    if (/hcl/i.test(called)) return { is: 'code', language: 'hcl' }
  }
  if (looksLikeJson(value)) return { is: 'code', language: 'json' }
  return { is: value.includes('\n') || value.length > 160 ? 'text' : 'line' }
}

function dateShape(value: string): Shape {
  const at = new Date(date.test(value) ? `${value}T00:00:00Z` : value.replace(' ', 'T'))
  // 2026-02-31 is no day, though Date takes some of these as the next month's.
  const isReal = !Number.isNaN(at.getTime()) && (!date.test(value) || at.toISOString().startsWith(value))
  return isReal ? { is: 'date', at, hasTime: !date.test(value) } : { is: 'line' }
}

/** An address on the web that a person may follow, and no other kind. */
export function webUrl(value: string): URL | null {
  if (!/^https?:\/\/\S+$/i.test(value)) return null
  return URL.parse(value)
}

export const isPatch = (value: string): boolean =>
  /^(?:diff --git |--- \S.*\n\+\+\+ \S)/m.test(value) && /^@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@/m.test(value)

function looksLikeJson(value: string): boolean {
  if (value.length < 20 || value.length > 200_000 || !/^\s*[[{]/.test(value)) return false
  try {
    return typeof JSON.parse(value) === 'object'
  } catch {
    return false
  }
}

const isScalar = (value: unknown): boolean => value === null || typeof value !== 'object'
const mostColumns = 12

function listShape(list: readonly unknown[]): Shape {
  if (list.length === 0) return { is: 'nothing' }
  if (list.every(isObject)) {
    const columns = [...new Set(list.slice(0, 200).flatMap((row) => Object.keys(row)))]
    const isFlat = list.every((row) => Object.values(row).every((value) => isScalar(value) || isShortList(value)))
    if (isFlat && columns.length > 0 && columns.length <= mostColumns) return { is: 'table', columns }
  }
  return { is: list.every(isScalar) ? 'list' : 'items' }
}

const isShortList = (value: unknown): boolean => Array.isArray(value) && value.length <= 6 && value.every(isScalar)

/** What tools that change a text call the two. */
const pairs = [
  ['before', 'after'],
  ['old', 'new'],
  ['old_string', 'new_string'],
  ['old_str', 'new_str'],
  ['old_text', 'new_text'],
  ['oldText', 'newText'],
  ['from_value', 'to_value'],
  ['original', 'modified'],
] as const

export function changeIn(record: Readonly<Record<string, unknown>>): readonly [string, string] | null {
  const pair = pairs.find(([before, after]) => Object.hasOwn(record, before) && Object.hasOwn(record, after))
  if (pair === undefined) return null
  const [before, after] = pair.map((name) => record[name])
  const isSame = typeof before === typeof after || before === null || after === null
  return isSame && before !== after ? pair : null
}

/** A mail that would be sent: to whom, about what. */
const isMail = (record: Readonly<Record<string, unknown>>): boolean =>
  (Object.hasOwn(record, 'to') || Object.hasOwn(record, 'recipients')) &&
  typeof record.subject === 'string' &&
  ['body', 'text', 'html', 'message', 'content'].some((name) => typeof record[name] === 'string')

function recordShape(record: Readonly<Record<string, unknown>>): Shape {
  if (Object.keys(record).length === 0) return { is: 'nothing' }
  if (isMail(record)) return { is: 'mail' }
  const change = changeIn(record)
  if (change !== null && Object.keys(record).length === 2) {
    return { is: 'change', before: record[change[0]], after: record[change[1]], language: null }
  }
  return { is: 'record' }
}

/** `customer_id` and `customerId` as "Customer id"; a name that is a sentence, a path or the like stays as it is. */
export function labelOf(name: string): string {
  if (!/^[a-z][a-zA-Z0-9]*(?:[_-][a-zA-Z0-9]+)*$/.test(name)) return name
  const words = name.replace(/([a-z0-9])([A-Z])/g, '$1 $2').replace(/[_-]+/g, ' ')
  const whole = words
    .split(' ')
    .map((part) =>
      /^(?:id|url|uri|sql|ip|vat|iban|pr|ssh|api|cpu|html|json|yaml|tls|dns|sku|ttl)$/i.test(part)
        ? part.toUpperCase()
        : part.toLowerCase(),
    )
    .join(' ')
  return whole.charAt(0).toUpperCase() + whole.slice(1)
}
