import type { Command } from '../command.ts'
import { runInService } from '../service.ts'

/** Options that people know from other programs. */
const settings = ['port', 'host', 'public-url', 'workers', 'role', 'data-dir', 'database-url', 'log-level', 'demo']

export const serve: Command = {
  path: 'serve',
  alsoTriedAs: ['start', 'run', 'server', 'up'],
  summary: 'Run the service until it is stopped.',
  about: [
    'Runs the service: serves calls, delivers callbacks, watches deadlines. It first brings the database up to date, and the first start prints a link that creates the first administrator.',
    'Everything is configured through settings, in the environment or in .env: .env.example lists them, "hitl config check" shows what is in effect. Ctrl-C or SIGTERM stops it in order: calls under way are finished, nothing is lost.',
    'A service manager should run "node server/start.mjs" directly, as npm start and the image do. That is the same service without a parent process.',
  ],
  options: [],
  refused: Object.fromEntries(
    settings.map((name) => {
      const variable = name.toUpperCase().replaceAll('-', '_')
      return [name, `settings come from the environment or .env, as in ${variable}=... hitl serve`]
    }),
  ),
  examples: [
    { about: 'On the embedded database in ./data, at http://localhost:8000:', line: 'hitl serve' },
    { about: 'On another port and a database of your own:', line: 'PORT=9000 DATABASE_URL=postgres://... hitl serve' },
    {
      about: 'Look around with sample accounts, in a throw-away folder:',
      line: 'DEMO=true DATA_DIR=/tmp/hitl hitl serve',
    },
  ],
  exits: [
    [0, 'it was stopped and shut down properly'],
    [1, 'it could not start or stop, for example because its port is taken'],
    [69, 'the database does not respond'],
    [78, 'a setting is wrong; starting again will not help'],
  ],
  run: (given) => runInService('serve', given.canonical),
}
