import type { Command } from '../command.ts'
import { runInService } from '../service.ts'

export const configCheck: Command = {
  path: 'config check',
  alsoTriedAs: ['check', 'validate', 'settings', 'env'],
  summary: 'Find every mistake in the settings before you start.',
  about: [
    'Reads the settings as hitl serve would: the environment, .env in this folder, and NAME_FILE for each setting. It lists all mistakes at once, also names that look misspelt and lines of .env that set nothing, warns of settings that work but are risky (above all in production), and shows which settings are in effect and where they come from. Secrets are masked.',
    'With --connect it also asks the database: whether it responds, its PostgreSQL version, whether the connection is encrypted, the rights of the role, and which migrations are missing.',
  ],
  options: [
    { name: 'connect', about: 'Also ask the database.' },
    { name: 'strict', about: 'Treat warnings as mistakes: exit with 78.' },
  ],
  examples: [
    { about: 'Before a start, in its folder and environment:', line: 'hitl config check --connect' },
    { about: 'As a gate in a deployment:', line: 'hitl config check --strict --json' },
  ],
  exits: [
    [0, 'the service can start with these settings'],
    [69, 'the database does not respond (with --connect)'],
    [78, 'a setting is wrong or, with --strict, weak'],
  ],
  run: (given) => runInService('config check', given.canonical),
}
