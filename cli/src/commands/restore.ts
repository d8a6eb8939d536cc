import type { Command, Given } from '../command.ts'
import { helpFor } from '../command.ts'
import { usage } from '../failure.ts'
import { runInService } from '../service.ts'

export const restore: Command = {
  path: 'restore',
  alsoTriedAs: ['load', 'import', 'recover', 'release'],
  summary: 'Fill an empty database with a backup.',
  about: [
    'Restores a file of "hitl backup" into an empty database: a new DATA_DIR, or a new database of your own. Either kind restores the backups of both. It checks the file to its end and changes nothing where anything is wrong with it: a byte that was changed, an end that is missing, a version newer than this one, keys that are not in the settings. Backups of earlier versions are brought up to date.',
    'A restored copy answers calls, but sends no callbacks and no mail, because the original may have sent them since. The start, /readyz and "hitl config check --connect" say so. When the copy takes the place of the original, --release ends that, also while the service runs: what waited is then sent. Receivers recognise what they have had by its webhook-id.',
  ],
  argument: { name: 'FILE', about: 'the backup; - for standard input', optional: true },
  options: [{ name: 'release', about: 'Instead of FILE: send callbacks and mail from now on.' }],
  examples: [
    {
      about: 'Into a new data folder, with the keys of the old one:',
      line: 'DATA_DIR=data hitl restore tuesday.backup',
    },
    { about: 'From an encrypted file:', line: 'age -d -i key.txt tuesday.backup.age | hitl restore -' },
    { about: 'The original is gone, and this copy takes its place:', line: 'hitl restore --release' },
  ],
  exits: [
    [0, 'restored, or released'],
    [1, 'refused: the file is damaged, or the database is not empty'],
    [64, 'the command line is wrong'],
    [69, 'the database does not respond'],
    [78, 'a setting is wrong, or a key of the backup is missing'],
  ],
  run,
}

async function run({ argument, command, has, json }: Given): Promise<number> {
  if ((argument === null) !== has('release')) {
    throw usage('restore needs either FILE or --release.', helpFor(command))
  }
  const what = argument === null ? '--release' : `--file=${argument}`
  return runInService('restore', ['restore', what, ...(json ? ['--json'] : [])])
}
