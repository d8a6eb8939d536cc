/** What the first row stands for; null when there is none. */
export async function first<Row, Made>(
  rows: Promise<readonly Row[]>,
  toMade: (row: Row) => Made,
): Promise<Made | null> {
  const [row] = await rows
  return row === undefined ? null : toMade(row)
}
