import type { Command } from '../command.ts'
import { runInService } from '../service.ts'

export const seed: Command = {
  path: 'seed',
  alsoTriedAs: ['demo', 'sample'],
  summary: 'Create sample accounts, an API key and requests to try things out.',
  about: [
    'Creates admin@example.com and reviewer@example.com with a public password, an API key and two agents with requests of every kind, and prints how to use them. A second run changes nothing and prints the same.',
    'Refused in production, and when there are other accounts: use a separate DATA_DIR.',
  ],
  options: [],
  examples: [
    { about: 'Into a throw-away folder:', line: 'DATA_DIR=/tmp/hitl hitl seed' },
    { about: 'The key alone, for a script:', line: 'hitl seed --json | jq -r .api_key' },
  ],
  exits: [
    [0, 'the sample data is there'],
    [69, 'the database does not respond'],
    [78, 'refused here, or a setting is wrong'],
  ],
  run: (given) => runInService('seed', given.canonical),
}
