import type { Command } from '../command.ts'
import { runInService } from '../service.ts'

export const keysRotate: Command = {
  path: 'keys rotate',
  alsoTriedAs: ['rewrap', 'rekey'],
  summary: 'Make new signing keys and wrap the data keys again.',
  about: [
    'Signing: makes new Ed25519 keys, one for each purpose. They are published at /.well-known/jwks.json at once and start to sign 15 minutes later, when every reader has them. The old public keys stay there, so that earlier signatures can still be verified.',
    'Data: wraps the data key of every organization with the first of KEY_ENCRYPTION_KEYS. Afterwards the other ones, and SECRET_KEY_PREVIOUS, are no longer needed for stored secrets. The secrets themselves are not touched unless you add --new-data-keys.',
    'Both work while the service runs, in any number of processes, and can be interrupted and run again.',
  ],
  options: [
    { name: 'only', value: 'WHICH', choices: ['signing', 'data'], about: 'One of the two. Default: both.' },
    {
      name: 'leaked',
      value: 'PURPOSE',
      choices: ['access_token', 'certificate', 'audit_head'],
      about:
        'The signing key of this purpose has leaked: a new one signs at once, and signatures of earlier ones no longer count.',
    },
    {
      name: 'new-data-keys',
      about: 'Also make new data keys and encrypt every stored secret again. Takes a minute or more.',
    },
    {
      name: 'secret-key-lost',
      about:
        'The former SECRET_KEY is lost: from now on the one in the settings counts. Everybody has to sign in again, and callbacks that wait are not sent.',
    },
  ],
  examples: [
    { about: 'As often as your policy demands, such as every 90 days:', line: 'hitl keys rotate' },
    { about: 'After putting a new key in front of KEY_ENCRYPTION_KEYS:', line: 'hitl keys rotate --only data' },
    { about: 'The key that signs decision certificates has leaked:', line: 'hitl keys rotate --leaked certificate' },
  ],
  exits: [
    [0, 'rotated'],
    [1, 'part of it could not be done: the keys that protect some secrets are not in the settings'],
    [64, 'an option is wrong'],
    [69, 'the database does not respond'],
    [78, 'a setting is wrong'],
  ],
  run: (given) => runInService('keys rotate', given.canonical),
}
