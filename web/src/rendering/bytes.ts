import { numberFormat } from '../words/formats.ts'
import { region } from '../words/say.ts'

/** "1.4 MB", in the reader's numbers. */
export function bytes(size: number): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte'] as const
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, size)) / 3))
  const format = { style: 'unit', unit: units[step] ?? 'byte', unitDisplay: 'short', maximumFractionDigits: 1 } as const
  return numberFormat(region(), format).format(size / 1_000 ** step)
}
