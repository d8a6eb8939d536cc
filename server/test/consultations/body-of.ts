import { type ParsedJson, parseExactJson } from '../../src/platform/json.ts'

/** A body as the wire brings it. */
export const bodyOf = (value: unknown): ParsedJson =>
  value === undefined ? { value, members: new Map() } : parseExactJson(Buffer.from(JSON.stringify(value)))
