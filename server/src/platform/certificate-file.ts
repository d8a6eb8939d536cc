import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** When the first of the certificates in a PEM file expires; null: there is none in it, or it cannot be read. */
export function firstExpiry(file: string): Date | null {
  try {
    const blocks = readFileSync(file, 'utf8').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
    const times = blocks.map((block) => new X509Certificate(block).validToDate.getTime())
    return times.length === 0 ? null : new Date(Math.min(...times))
  } catch {
    return null
  }
}
