/**
 * How much of what there is without end, or nearly, a run goes through: random tampering, every hostile value in every place.
 * `HITL_SHARE=1 npm run e2e` goes through all of it, which takes several minutes longer.
 */
export const share = Number(process.env.HITL_SHARE ?? 0.3)

/** So much of it, by chance, and at least one. */
export function drawn<T>(all: readonly T[]): readonly T[] {
  if (share >= 1) return all
  const some = all.filter(() => Math.random() < share)
  return some.length > 0 ? some : all.slice(0, 1)
}
