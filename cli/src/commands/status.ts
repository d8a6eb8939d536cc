import type { Command } from '../command.ts'
import { runInService } from '../service.ts'

export const status: Command = {
  path: 'status',
  alsoTriedAs: ['info', 'ps', 'stats'],
  summary: 'Show what runs, what waits, and how old it is.',
  about: [
    'Asks the database and the running service: their versions, the processes with connections to the database and since when, open requests by risk, callbacks that are due, timers that are late, events without a seal, and the age of the oldest of each; receivers whose callbacks were tried in vain, the ids of the keys in use, missing migrations, how far the clocks differ, free space, and with --backups the newest backup.',
    'It changes nothing, and works while the service is down. hitl doctor says what is wrong.',
  ],
  options: [{ name: 'backups', value: 'FOLDER', about: 'Where backups are: shows the newest *.backup there.' }],
  examples: [
    { about: 'At a glance:', line: 'hitl status' },
    { about: 'For a script, with the last backup:', line: 'hitl status --json --backups /var/backups/hitl' },
  ],
  exits: [
    [0, 'shown'],
    [64, 'the command line is wrong'],
    [69, 'the database does not respond'],
    [78, 'a setting is wrong'],
  ],
  run: (given) => runInService('status', given.canonical),
}
