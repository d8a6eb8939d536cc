/** Making one takes as long as drawing ten rows; they are few, and kept. */
const made = new Map<string, Intl.DateTimeFormat | Intl.NumberFormat>()

function kept<T extends Intl.DateTimeFormat | Intl.NumberFormat>(key: string, make: () => T): T {
  const before = made.get(key)
  if (before !== undefined) return before as T
  const after = make()
  made.set(key, after)
  return after
}

export const dateFormat = (locale: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat =>
  kept(`date ${locale} ${JSON.stringify(options)}`, () => new Intl.DateTimeFormat(locale, options))

export const numberFormat = (locale: string, options: Intl.NumberFormatOptions): Intl.NumberFormat =>
  kept(`number ${locale} ${JSON.stringify(options)}`, () => new Intl.NumberFormat(locale, options))

/** "a, b, and c", as the reader's language joins them. */
export const listed = (locale: string, items: readonly string[]): string =>
  new Intl.ListFormat(locale, { type: 'unit', style: 'short' }).format(items)
