import type { Command } from '../command.ts'
import { runInService } from '../service.ts'

export const adminRecover: Command = {
  path: 'admin recover',
  alsoTriedAs: ['reset', 'password', 'unlock', 'forgot'],
  summary: 'Let somebody back in who lost their password or phone.',
  about: [
    'Prints a link with which a person chooses a new password: it works once, for half an hour, and ends their sessions. For whoever gets no mail, and for the only administrator, whom nobody else can help. It works while the service runs.',
    'A second factor is asked for all the same. Where it is lost, --remove-second-factors takes away every authenticator app, passkey and recovery code of the account, and ends its sessions at once; the person is told by mail where this installation sends mail. Be sure who is asking. Both are events of each organization that the person belongs to.',
  ],
  options: [
    { name: 'email', value: 'ADDRESS', required: true, about: 'With which they sign in.' },
    { name: 'remove-second-factors', about: 'Remove their authenticator apps, passkeys and recovery codes, too.' },
  ],
  examples: [
    { about: 'A forgotten password:', line: 'hitl admin recover --email ada@example.com' },
    {
      about: 'The phone is lost, and the recovery codes with it:',
      line: 'hitl admin recover --email ada@example.com --remove-second-factors',
    },
  ],
  exits: [
    [0, 'the link is printed'],
    [1, 'there is no such account, or the database needs hitl migrate'],
    [64, 'an option is wrong'],
    [69, 'the database does not respond'],
    [78, 'a setting is wrong'],
  ],
  run: (given) => runInService('admin recover', given.canonical),
}
