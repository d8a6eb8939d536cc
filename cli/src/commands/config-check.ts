import type { Command } from '../command.ts'
import { runInService } from '../service.ts'

export const configCheck: Command = {
  path: 'config check',
  alsoTriedAs: ['doctor', 'check', 'validate', 'status', 'env'],
  summary: 'Find every mistake in the settings, before a start does.',
  about: [
    'Reads the settings as hitl serve would: the environment, .env in this folder, and NAME_FILE for each setting. It tells all mistakes at once, warns of what works but is weak (in production above all) and of names that look misspelt, and shows what is in effect and where it came from. Secrets are masked.',
    'With --connect it also asks the database: whether it answers, which PostgreSQL it is, whether the connection is encrypted, with which rights, and which migrations it lacks.',
  ],
  options: [
    { name: 'connect', about: 'Also ask the database.' },
    { name: 'strict', about: 'Take warnings for mistakes: exit with 78.' },
  ],
  examples: [
    { about: 'Before a start, in the same folder and environment:', line: 'hitl config check --connect' },
    { about: 'As a gate in a deployment:', line: 'hitl config check --strict --json' },
  ],
  exits: [
    [0, 'the service can start with these settings'],
    [69, 'the database does not respond (with --connect)'],
    [78, 'a setting is wrong; with --strict also: weak'],
  ],
  run: (given) => runInService('config check', given.canonical),
}
