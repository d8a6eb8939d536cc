type Field<Column extends string> = Column extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Field<Tail>>}`
  : Column

type Listed<List extends string> = List extends `${infer First}, ${infer Others}` ? First | Listed<Others> : List

/** Columns whose values a store passes on as they are, as SQL lists them: `id, created_at`. */
export function columns<const List extends string>(list: List): readonly Listed<List>[] {
  return list.split(', ') as unknown as readonly Listed<List>[]
}

/** The fields that these columns of a row hold: `created_at` is `createdAt`. */
export function fieldsOf<Column extends string, Row extends { readonly [Name in Column]: unknown }>(
  row: Row,
  listed: readonly Column[],
): { readonly [Name in Column as Field<Name>]: Row[Name] } {
  return Object.fromEntries(listed.map((column) => [fieldOf(column), row[column]])) as never
}

/** What these columns hold of a value: `createdAt` is `created_at`. */
export function valuesOf<Column extends string, Value extends { readonly [Name in Field<Column>]: unknown }>(
  value: Value,
  listed: readonly Column[],
): { readonly [Name in Column]: Value[Field<Name>] } {
  return Object.fromEntries(listed.map((column) => [column, value[fieldOf(column)]])) as never
}

function fieldOf<Column extends string>(column: Column): Field<Column> {
  return column.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()) as Field<Column>
}
