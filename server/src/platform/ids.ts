import { v7 } from 'uuid'

/** A new UUIDv7 (RFC 9562): sorts by creation time, which is what lists and primary-key indexes rely on. */
export function newId(): string {
  return v7()
}

/** RFC 9562 text form, any version, any case. */
export const uuidPattern = '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$'
