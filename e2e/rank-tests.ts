// Two rank tests (Hollander, Wolfe, Chicken: Nonparametric Statistical Methods, 3.1 and 4.1), by the normal approximation,
// which is accurate from about twenty values on. Both return z: how many standard deviations the sum of ranks is from its
// expected value if only chance separates the samples, with the sign of the difference. Ranks and not means, because times
// have long tails: one pause of the garbage collector must not hide or fake a difference.

/** Wilcoxon's signed-rank test on paired differences. Zeros are left out and ties share their ranks. */
export function signedRank(differences: readonly number[]): number {
  const told = differences.filter((difference) => difference !== 0)
  const { ranks, tieTerm } = rank(told.map(Math.abs))
  const n = told.length
  const positive = ranks.reduce((sum, one, at) => sum + ((told[at] ?? 0) > 0 ? one : 0), 0)
  const variance = (n * (n + 1) * (2 * n + 1)) / 24 - tieTerm / 48
  return variance <= 0 ? 0 : (positive - (n * (n + 1)) / 4) / Math.sqrt(variance)
}

/** The Mann-Whitney test of two independent samples: positive when the first one's values are larger. */
export function mannWhitney(first: readonly number[], second: readonly number[]): number {
  const { ranks, tieTerm } = rank([...first, ...second])
  const [m, n] = [first.length, second.length]
  const total = m + n
  const sum = ranks.slice(0, m).reduce((all, one) => all + one, 0)
  const variance = ((m * n) / 12) * (total + 1 - tieTerm / (total * (total - 1)))
  return variance <= 0 ? 0 : (sum - (m * (total + 1)) / 2) / Math.sqrt(variance)
}

/** Ranks from 1, equal values sharing the mean of theirs; `tieTerm` is the sum of t^3 - t over groups of t equal values. */
function rank(values: readonly number[]): { readonly ranks: readonly number[]; readonly tieTerm: number } {
  const order = values.map((value, at) => ({ value, at })).sort((one, other) => one.value - other.value)
  const ranks = Array<number>(values.length).fill(0)
  let tieTerm = 0
  for (let from = 0; from < order.length; ) {
    let to = from
    while (to < order.length && order[to]?.value === order[from]?.value) to += 1
    for (const { at } of order.slice(from, to)) ranks[at] = (from + 1 + to) / 2
    tieTerm += (to - from) ** 3 - (to - from)
    from = to
  }
  return { ranks, tieTerm }
}
