import type { Command } from '../command.ts'
import { runInService } from '../service.ts'

export const doctor: Command = {
  path: 'doctor',
  alsoTriedAs: ['diagnose', 'checkup', 'health', 'troubleshoot'],
  summary: 'Find what is wrong with an installation, and what to do.',
  about: [
    'Looks at all that config check --connect looks at, and goes on: folders, files and their rights, free space, limits and certificates of this machine; durability, timeouts, rights, dead rows and stuck transactions of the database, and whether a pooler swallows notifications; whether PUBLIC_URL leads to this installation, by which proxy, and who may choose the address that calls are counted by; the mail relay and the store of attachments.',
    'Each finding says what to do. "Wrong" is to be mended now, "weak" works and may not always. It changes nothing: it signs in at the mail relay without sending, and puts an object of a few bytes into the store and takes it away again. Run it where the service runs, as its account.',
  ],
  options: [{ name: 'strict', about: 'Exit with 1 for weak findings too.' }],
  examples: [
    { about: 'What is wrong here?', line: 'hitl doctor' },
    { about: 'As a gate in a deployment:', line: 'hitl doctor --strict --json' },
  ],
  exits: [
    [0, 'nothing is wrong; with --strict, nothing is weak either'],
    [1, 'something is wrong, also a database that does not respond; the findings are on standard output'],
    [64, 'the command line is wrong'],
    [78, 'a setting is wrong, so nothing else was looked at'],
  ],
  run: (given) => runInService('doctor', given.canonical),
}
