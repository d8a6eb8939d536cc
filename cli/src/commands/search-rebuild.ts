import type { Command } from '../command.ts'
import { runInService } from '../service.ts'

export const searchRebuild: Command = {
  path: 'search rebuild',
  alsoTriedAs: ['reindex'],
  summary: 'Make the search index of requests again.',
  about: [
    'Empties the search index. The workers of the service fill it again, some thousand requests a second, and until they have, a search finds part of what there is. Nothing else is touched.',
    'The service does this by itself where the index is missing: after an upgrade, in a restored backup, or after a crash of PostgreSQL. This command is for the case that search finds something else than it should.',
  ],
  options: [{ name: 'organization', value: 'ID', about: 'Only of this organization. Default: of all.' }],
  examples: [{ about: 'Of the whole installation:', line: 'hitl search rebuild' }],
  exits: [
    [0, 'the index is empty, and the service fills it'],
    [1, 'there is no such organization'],
    [64, 'an option is wrong'],
    [69, 'the database does not respond'],
    [78, 'a setting is wrong'],
  ],
  run: (given) => runInService('search rebuild', given.canonical),
}
