import { formats } from './formats.ts'
import { maxNesting, maxProperties, maxSchemaBytes } from './schema-subset.ts'
import { dialect, inConditions, keywordNames, types } from './subset-keywords.ts'

/** The subset as a JSON Schema, to be published: what schema-subset.ts accepts, this accepts. */

const scalar = { type: ['string', 'number', 'boolean', 'null'] }
const count = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER }
const number = { type: 'number' }
const flag = { type: 'boolean' }
const text = (maxLength: number) => ({ type: 'string', maxLength })
const schema = { $ref: '#/$defs/schema' }
const condition = { $ref: '#/$defs/condition' }
const schemas = { type: 'object', additionalProperties: schema }
const names = { type: 'array', items: { type: 'string' }, uniqueItems: true }
const withNull = types.filter((type) => type !== 'null')

const parts: Readonly<Record<string, object>> = {
  $schema: { const: dialect },
  $defs: { ...schemas, description: 'Schemas to refer to; only at the top.' },
  $ref: { type: 'string', pattern: '^#/\\$defs/', description: 'Of $defs; must not lead back to itself.' },
  type: {
    oneOf: [
      { enum: types },
      {
        enum: withNull.flatMap((type) => [
          [type, 'null'],
          ['null', type],
        ]),
        description: 'A pair with null.',
      },
    ],
  },
  title: text(255),
  description: text(4_000),
  default: { description: 'Must fit the schema itself.' },
  examples: { type: 'array', maxItems: 20 },
  enum: { type: 'array', items: scalar, minItems: 1, maxItems: 500, uniqueItems: true },
  const: scalar,
  oneOf: {
    description: 'Choices with labels.',
    type: 'array',
    minItems: 1,
    maxItems: 500,
    items: {
      type: 'object',
      properties: { const: scalar, title: text(255), description: text(4_000) },
      required: ['const', 'title'],
      additionalProperties: false,
    },
  },
  properties: schemas,
  required: { ...names, description: 'Only names of properties.' },
  additionalProperties: flag,
  if: condition,
  // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema
  then: condition,
  else: condition,
  items: { oneOf: [schema, { const: false, description: 'Behind prefixItems.' }] },
  prefixItems: { type: 'array', items: schema, minItems: 1 },
  minItems: count,
  maxItems: count,
  uniqueItems: flag,
  minimum: number,
  maximum: number,
  exclusiveMinimum: number,
  exclusiveMaximum: number,
  multipleOf: { type: 'number', exclusiveMinimum: 0 },
  minLength: count,
  maxLength: count,
  pattern: {
    type: 'string',
    maxLength: 1_000,
    description:
      'ECMA-262 with the flag u, in linear time: no look-around, no back-references, at most 1000 repetitions in all.',
  },
  format: { enum: Object.keys(formats) },
  'x-order': { type: 'number', description: 'Where its field stands among the others: smaller ones first.' },
  'x-multiline': { type: 'boolean', description: 'Text of several lines.' },
  'x-placeholder': text(255),
  'x-unit': { ...text(60), description: 'Shown behind the field.' },
}

const described = ['type', 'enum', 'const', 'oneOf', '$ref'].map((name) => ({ required: [name] }))
const only = (given: readonly string[]) => Object.fromEntries(given.map((name) => [name, parts[name]]))
const inner = keywordNames.filter((name) => name !== '$schema' && name !== '$defs')

export const metaSchema = {
  $schema: dialect,
  title: 'The schemas that requests of this service can ask with',
  description:
    `A subset of JSON Schema 2020-12, ${dialect}. Beyond what is said here: at most ${maxSchemaBytes / 1024} KiB, ${maxNesting} objects ` +
    `and lists within one another, and ${maxProperties} properties, with those behind references counted each time; a keyword ` +
    'goes only with the type that it is about; one if, then, else does not stand within another.',
  type: 'object',
  required: ['type'],
  properties: { ...only(keywordNames), type: { const: 'object' } },
  additionalProperties: false,
  $defs: {
    schema: { type: 'object', anyOf: described, properties: only(inner), additionalProperties: false },
    condition: {
      type: 'object',
      properties: {
        properties: { type: 'object', additionalProperties: { $ref: '#/$defs/tested' } },
        required: parts.required,
      },
      additionalProperties: false,
      description: `Has ${inConditions.join(' and ')} only.`,
    },
    tested: {
      type: 'object',
      properties: {
        ...only(inner.filter((name) => !['if', 'then', 'else'].includes(name))),
        properties: { type: 'object', additionalProperties: { $ref: '#/$defs/tested' } },
      },
      additionalProperties: false,
    },
  },
}
