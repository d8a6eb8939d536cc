import { ConfigError, loadConfig } from '../config.ts'
import { migrate } from '../platform/database/migrate.ts'
import { seed } from '../seed.ts'
import type { Run } from './command.ts'
import { openApp, withInstallation } from './installation.ts'
import { sampleBlock, sampleFacts } from './welcome.ts'

export const run: Run = (_options, output) => {
  if (loadConfig().production) {
    throw new ConfigError(['seed is refused when NODE_ENV is production: it makes accounts with known passwords'])
  }
  return withInstallation(async ({ config, log, database }) => {
    await migrate(database.connection)
    const app = await openApp(config, log, database)
    try {
      const { apiKey } = await seed(app)
      output.result(sampleFacts(apiKey), sampleBlock(config, apiKey))
    } finally {
      await app.stop()
    }
    return undefined
  })
}
