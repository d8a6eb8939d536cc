import type { Command } from '../command.ts'
import { runInService } from '../service.ts'

export const keysRotate: Command = {
  path: 'keys rotate',
  alsoTriedAs: ['rewrap', 'rekey'],
  summary: 'Make new signing keys, and wrap the data keys anew.',
  about: [
    'Signing: makes new Ed25519 keys, one for each thing that the installation signs. They are published at /.well-known/jwks.json at once and sign 15 minutes later, when every reader has them. The public keys of the old ones stay there, so that what they signed can be verified as before.',
    'Data: wraps the data key of every organization with the first of KEY_ENCRYPTION_KEYS. Afterwards the other ones, and SECRET_KEY_PREVIOUS, are needed no more. What the data keys protect is not touched, unless --new-data-keys asks for that too.',
    'Both work while the service runs, in any number of processes, and may be broken off and run again.',
  ],
  options: [
    { name: 'only', value: 'WHICH', choices: ['signing', 'data'], about: 'One of the two. Default: both.' },
    {
      name: 'leaked',
      value: 'PURPOSE',
      choices: ['access_token', 'certificate', 'audit_head'],
      about:
        'The signing key of this purpose is known to others: a new one signs at once, and whatever earlier ones signed counts no more.',
    },
    {
      name: 'new-data-keys',
      about: 'Also make new data keys and seal every stored secret anew. Takes a minute or more.',
    },
  ],
  examples: [
    { about: 'As your policy asks, say every 90 days:', line: 'hitl keys rotate' },
    { about: 'After a new key was put in front of KEY_ENCRYPTION_KEYS:', line: 'hitl keys rotate --only data' },
    { about: 'The key that signs decision certificates has leaked:', line: 'hitl keys rotate --leaked certificate' },
  ],
  exits: [
    [0, 'rotated'],
    [1, 'not all of it could be done: the keys that protect some secrets are not in the settings'],
    [64, 'an option is wrong'],
    [69, 'the database does not respond'],
    [78, 'a setting is wrong'],
  ],
  run: (given) => runInService('keys rotate', given.canonical),
}
