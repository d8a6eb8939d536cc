import { installationId } from '../../platform/ids.ts'

export const leastId = installationId
export const greatestId = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

/** The next id in order. */
export function following(id: string): string {
  const hex = (BigInt(`0x${id.replaceAll('-', '')}`) + 1n).toString(16).padStart(32, '0')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
