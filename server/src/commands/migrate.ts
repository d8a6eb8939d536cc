import { migrate } from '../platform/database/migrate.ts'
import type { Run } from './command.ts'
import { withInstallation } from './installation.ts'

export const run: Run = (_options, output) =>
  withInstallation(async ({ database }) => {
    const applied = await migrate(database.connection)
    output.result({ applied }, applied.length === 0 ? 'The database is up to date.' : `Applied ${applied.join(', ')}.`)
    return undefined
  })
