import type { Command } from '../command.ts'
import { runInService } from '../service.ts'

export const seed: Command = {
  path: 'seed',
  alsoTriedAs: ['demo', 'sample'],
  summary: 'Sample accounts, an API key and requests, to try things out.',
  about: [
    'Makes admin@example.com and reviewer@example.com with a password that everybody knows, an API key and three requests, and prints how to use them. Run again, it changes nothing and prints the same.',
    'Refused in production, and wherever there are other accounts already: use a DATA_DIR of its own.',
  ],
  options: [],
  examples: [
    { about: 'Into a folder to throw away:', line: 'DATA_DIR=/tmp/hitl hitl seed' },
    { about: 'The key alone, for a script:', line: 'hitl seed --json | jq -r .api_key' },
  ],
  exits: [
    [0, 'the sample data is there'],
    [69, 'the database does not respond'],
    [78, 'refused here, or a setting is wrong'],
  ],
  run: (given) => runInService('seed', given.canonical),
}
