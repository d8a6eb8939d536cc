// Starts the service: `node server/start.mjs [command]`. Plain JavaScript on purpose, and as short as can be.
//
// Node strips the types of main.ts and all it imports with a parser that takes 18 MB of memory for good. The compile cache
// holds the stripped and compiled modules, so from the second start on that parser is not even loaded (and the start is
// faster). Where the folder cannot be written, everything works without it.
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/hitl'))

await import('./src/main.ts')
