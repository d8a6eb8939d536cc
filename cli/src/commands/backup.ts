import type { Command } from '../command.ts'
import { runInService } from '../service.ts'

export const backup: Command = {
  path: 'backup',
  alsoTriedAs: ['dump', 'save', 'snapshot'],
  summary: 'Write everything that the database holds to a file.',
  about: [
    'Writes every row, as of one moment, to one compressed file that "hitl restore" checks and restores. It works while the service runs, on the embedded database as on one of your own, and holds nobody up. Only you can read the file; it appears completely or not at all.',
    'The file holds no keys. Keep SECRET_KEY (or the file secret-key in DATA_DIR) and KEY_ENCRYPTION_KEYS in another place: nothing restores without them.',
    'A database of your own is read as the role in DATABASE_URL. It must own the tables, as the role that migrates them does, or be exempt from row-level security; docs/operations.md has the SQL.',
  ],
  argument: { name: 'FILE', about: 'where to write; - for standard output' },
  options: [],
  examples: [
    { about: 'Every night:', line: 'hitl backup /var/backups/hitl/tuesday.backup' },
    { about: 'Encrypted for somebody else to keep:', line: 'hitl backup - | age -r age1... > tuesday.backup.age' },
  ],
  exits: [
    [0, 'the backup is complete'],
    [1, 'refused, or the file cannot be written'],
    [64, 'the command line is wrong'],
    [69, 'the database does not respond'],
    [78, 'a setting is wrong'],
  ],
  run: ({ argument, json }) =>
    runInService('backup', ['backup', `--file=${argument ?? '-'}`, ...(json ? ['--json'] : [])]),
}
