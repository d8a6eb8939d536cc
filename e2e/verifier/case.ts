export type Code = 0 | 1 | 2 | 3

export interface Case {
  readonly name: string
  readonly file: string | Buffer
  readonly keys: string
  readonly heads?: string
  /** The exit code, where it does not depend on what was edited. */
  readonly expected?: Code | undefined
}
