import { numberFormat } from '../words/formats.ts'
import { region } from '../words/say.ts'

/** With the code of the currency, because a sign alone names several; `null` for what is no amount. */
export function money(value: unknown, currency: string | null): string | null {
  const amount = typeof value === 'string' && /^-?\d{1,15}(?:\.\d{1,6})?$/.test(value) ? Number(value) : value
  if (typeof amount !== 'number') return null
  // Anything else is text of the agent, and not a unit behind a number.
  if (currency === null || !/^[A-Z]{3}$/.test(currency)) return null
  try {
    const { minimumFractionDigits } = numberFormat(region(), {
      style: 'currency',
      currency,
    }).resolvedOptions()
    const digits = numberFormat(region(), { minimumFractionDigits, maximumFractionDigits: 6 })
    return `${digits.format(amount)} ${currency}`
  } catch {
    return `${amount} ${currency}`
  }
}
