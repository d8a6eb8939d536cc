import type { Command } from '../command.ts'
import { runInService } from '../service.ts'

export const adminRecover: Command = {
  path: 'admin recover',
  alsoTriedAs: ['reset', 'password', 'unlock', 'forgot'],
  summary: 'Let in a person who lost their password or phone.',
  about: [
    'Prints a link for choosing a new password. It works once, for half an hour, and using it ends all sessions of the account. Use it for people who get no mail, and for an only administrator. It works while the service runs.',
    'The person still needs their second factor. If it is lost, --remove-second-factors removes every authenticator app, passkey and recovery code of the account and ends its sessions at once; the person is notified by mail if this installation sends mail. Make sure that you know who is asking. Both acts are events in every organization that the person belongs to.',
  ],
  options: [
    { name: 'email', value: 'ADDRESS', required: true, about: 'The address they sign in with.' },
    { name: 'remove-second-factors', about: 'Also remove their authenticator apps, passkeys and recovery codes.' },
  ],
  examples: [
    { about: 'A forgotten password:', line: 'hitl admin recover --email ada@example.com' },
    {
      about: 'The phone and the recovery codes are lost:',
      line: 'hitl admin recover --email ada@example.com --remove-second-factors',
    },
  ],
  exits: [
    [0, 'the link was printed'],
    [1, 'there is no such account, or the database needs hitl migrate'],
    [64, 'an option is wrong'],
    [69, 'the database does not respond'],
    [78, 'a setting is wrong'],
  ],
  run: (given) => runInService('admin recover', given.canonical),
}
