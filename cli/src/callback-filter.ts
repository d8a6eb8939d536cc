import type { Given, Option } from './command.ts'
import { usage } from './failure.ts'
import { tokenOptions } from './remote-service.ts'

/** The options of commands about callbacks, besides their status. */
export const filterOptions: readonly Option[] = [
  { name: 'target', value: 'URL', about: 'Only those to this receiver: scheme, host and port count.' },
  { name: 'since', value: 'TIME', about: 'Only those that first fell due since then, such as 2026-01-31T09:00:00Z.' },
  { name: 'url', value: 'URL', required: true, about: 'The address of the service.' },
  ...tokenOptions,
]

export function filterOf(given: Given) {
  return { status: given.text('status'), target: given.text('target'), since: given.text('since') }
}

/** A whole number from 1 on; null when it is not given. */
export function countOf(given: Given, name: string): number | null {
  const text = given.text(name)
  if (text === null) return null
  if (!/^[1-9]\d{0,8}$/.test(text)) throw usage(`--${name} must be a whole number from 1 on.`)
  return Number(text)
}
