import type { Command } from '../command.ts'
import { runInService } from '../service.ts'

const whyNoPassword =
  'whatever stands on a command line is shown to every user of the machine by ps, and stays in the history of your shell. ' +
  'Leave it out to be asked, pipe it with --password-stdin, or let --generate-password make one.'

export const adminCreate: Command = {
  path: 'admin create',
  alsoTriedAs: ['user', 'users', 'invite', 'account'],
  summary: 'Make an account that can run an organization.',
  about: [
    'Makes an account with the rights to run an organization: for the first administrator of a new installation, or when nobody can sign in any more. It works while the service runs.',
    'The password is asked for and not shown. It is never an option, because command lines can be read by others. Somebody who exists already is left as they are: the command says so and fails.',
  ],
  options: [
    { name: 'email', value: 'ADDRESS', required: true, about: 'With which they will sign in.' },
    { name: 'name', value: 'NAME', about: 'What the others see.' },
    {
      name: 'role',
      value: 'ROLE',
      choices: ['owner', 'admin'],
      about: 'An organization has one owner at most. Default: admin.',
    },
    {
      name: 'organization',
      value: 'ID',
      about: 'Which organization, where there are several. Default: the one that the installation began with.',
    },
    { name: 'password-stdin', about: 'Read the password from standard input, one line.' },
    { name: 'generate-password', about: 'Make a password, and print it once.' },
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
    [0, 'the account is made'],
    [1, 'there is such an account or owner already, the password will not do, or the database needs hitl migrate'],
    [64, 'an option is wrong, or there is no terminal to ask for the password'],
    [69, 'the database does not respond'],
    [78, 'a setting is wrong'],
  ],
  run: (given) => runInService('admin create', given.canonical),
}
