/** A slow reply must not undo a later one. */
export const newer = <T extends { readonly updated_at: string }>(before: T | undefined, after: T): T =>
  before !== undefined && before.updated_at > after.updated_at ? before : after
