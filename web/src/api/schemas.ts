import type { components } from './schema.gen.ts'

export type Schemas = components['schemas']
