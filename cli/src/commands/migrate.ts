import type { Command } from '../command.ts'
import { runInService } from '../service.ts'

export const migrate: Command = {
  path: 'migrate',
  alsoTriedAs: ['init', 'upgrade', 'db'],
  summary: 'Bring the database up to date.',
  about: [
    'Applies the migrations that the database lacks, each in its own transaction, and grants the rights of the role that the service runs as. A second run changes nothing. Any number of processes may run it at once, while the service runs too.',
    'hitl serve does the same at its start. Use this when the service may not change the schema: migrate with a role that may, and serve with one that may not.',
  ],
  options: [],
  examples: [
    { about: 'Before a new version serves:', line: 'hitl migrate' },
    { about: 'Which migrations were applied, for a deployment log:', line: 'hitl migrate --json' },
  ],
  exits: [
    [0, 'the database is up to date'],
    [1, 'a migration failed and was rolled back, or the database is ahead of this version'],
    [69, 'the database does not respond'],
    [78, 'a setting is wrong'],
  ],
  run: (given) => runInService('migrate', given.canonical),
}
