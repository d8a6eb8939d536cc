type Field<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Field<Tail>>}`
  : Name

type Listed<List extends string> = List extends `${infer First}, ${infer Others}` ? First | Listed<Others> : List

/** Names as SQL and the wire spell them, in one text: `id, created_at`. In code the same is `createdAt`. */
export function names<const List extends string>(list: List): readonly Listed<List>[] {
  return list.split(', ') as unknown as readonly Listed<List>[]
}

/** What a row, or a body, has under these names, as the fields of a value. */
export function fieldsOf<Name extends string, Row extends { readonly [One in Name]: unknown }>(
  row: Row,
  listed: readonly Name[],
): { readonly [One in Name as Field<One>]: Row[One] } {
  return Object.fromEntries(listed.map((name) => [fieldOf(name), row[name]])) as never
}

/** What a value has in its fields, under these names. */
export function valuesOf<Name extends string, Value extends { readonly [One in Field<Name>]: unknown }>(
  value: Value,
  listed: readonly Name[],
): { readonly [One in Name]: Value[Field<One>] } {
  return Object.fromEntries(listed.map((name) => [name, value[fieldOf(name)]])) as never
}

/** The names come from lists in the source, so there are never more than a few hundred. */
const fields = new Map<string, string>()

function fieldOf<Name extends string>(name: Name): Field<Name> {
  let field = fields.get(name)
  if (field === undefined) {
    field = name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())
    fields.set(name, field)
  }
  return field as Field<Name>
}
