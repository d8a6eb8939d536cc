// Starts the service: `node server/start.mjs [command]`. Plain JavaScript on purpose, and as short as can be.
//
// Node strips the types of main.ts and all it imports with a parser that takes 18 MB of memory for good. The compile cache
// holds the stripped and compiled modules, so from the second start on that parser is not even loaded (and the start is
// faster). Where the folder cannot be written, everything works without it.
import * as module from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const neededMajor = 24

if (Number.parseInt(process.versions.node, 10) < neededMajor) {
  process.stderr.write(
    `hitl: the service needs Node ${neededMajor} or later, and this is ${process.version}. Run "npm start", which brings its own, or install Node ${neededMajor} (https://nodejs.org).\n`,
  )
  // EX_CONFIG of sysexits.h: a supervisor should not start it again.
  process.exit(78)
}
module.enableCompileCache(join(dirname(fileURLToPath(import.meta.url)), '../node_modules/.cache/hitl'))

await import('./src/main.ts')
