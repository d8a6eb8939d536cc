import type { Command } from '../command.ts'
import { runInService } from '../service.ts'

/** What people know as options from other programs. */
const settings = ['port', 'host', 'public-url', 'workers', 'role', 'data-dir', 'database-url', 'log-level', 'demo']

export const serve: Command = {
  path: 'serve',
  alsoTriedAs: ['start', 'run', 'server', 'up'],
  summary: 'Answer calls and deliver callbacks, until it is stopped.',
  about: [
    'Runs the service: answers calls, delivers callbacks, watches the deadlines. It brings the database up to date first, and the first start prints a link that makes the first administrator.',
    'Everything it can be told is a setting, in the environment or in .env: .env.example lists them, "hitl config check" shows what is in effect. Ctrl-C or SIGTERM stops it in order: calls under way are answered, nothing is lost.',
    'A service manager had better run "node server/start.mjs" itself, as npm start and the image do: that is this command without a process around it.',
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
      about: 'Look around with sample accounts, in a folder to throw away:',
      line: 'DEMO=true DATA_DIR=/tmp/hitl hitl serve',
    },
  ],
  exits: [
    [0, 'it was stopped, in order'],
    [1, 'it could not start or stop, as when its port is taken'],
    [69, 'the database does not respond'],
    [78, 'a setting is wrong; starting again will not help'],
  ],
  run: (given) => runInService('serve', given.canonical),
}
