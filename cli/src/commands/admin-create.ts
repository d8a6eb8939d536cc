import type { Command } from '../command.ts'
import { runInService } from '../service.ts'

const whyNoPassword =
  'every user of the machine can see command lines through ps, and your shell keeps them in its history. ' +
  'Leave it out to be asked, pipe it with --password-stdin, or let --generate-password make one.'

export const adminCreate: Command = {
  path: 'admin create',
  alsoTriedAs: ['user', 'users', 'invite', 'account'],
  summary: 'Create an account that can run an organization.',
  about: [
    'Creates an account with the rights to run an organization: for the first administrator of a new installation, or when nobody can sign in any more. It works while the service runs.',
    'The command asks for the password and does not show it. The password is never an option, because others can read command lines. An account that already exists is left unchanged: the command says so and fails.',
  ],
  options: [
    { name: 'email', value: 'ADDRESS', required: true, about: 'The address they will sign in with.' },
    { name: 'name', value: 'NAME', about: 'The name that others see.' },
    {
      name: 'role',
      value: 'ROLE',
      choices: ['owner', 'admin'],
      about: 'An organization has at most one owner. Default: admin.',
    },
    {
      name: 'organization',
      value: 'ID',
      about: 'The organization, when there are several. Default: the first one of the installation.',
    },
    { name: 'password-stdin', about: 'Read the password from standard input, one line.' },
    { name: 'generate-password', about: 'Generate a password and print it once.' },
  ],
  refused: { password: whyNoPassword, pass: whyNoPassword, p: whyNoPassword },
  examples: [
    { about: 'Be asked for the password:', line: "hitl admin create --email ada@example.com --name 'Ada Lovelace'" },
    {
      about: 'From a secret store, in a script:',
      line: 'pass show hitl/ada | hitl admin create --email ada@example.com --password-stdin --json',
    },
    {
      about: 'The owner, with a password to hand over and change at the first sign-in:',
      line: 'hitl admin create --email ada@example.com --role owner --generate-password',
    },
  ],
  exits: [
    [0, 'the account was created'],
    [1, 'the account or owner already exists, the password is not accepted, or the database needs hitl migrate'],
    [64, 'an option is wrong, or there is no terminal to ask for the password'],
    [69, 'the database does not respond'],
    [78, 'a setting is wrong'],
  ],
  run: (given) => runInService('admin create', given.canonical),
}
