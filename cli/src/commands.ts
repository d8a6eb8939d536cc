import type { Command, CommandGroup } from './command.ts'
import { adminCreate } from './commands/admin-create.ts'
import { adminRecover } from './commands/admin-recover.ts'
import { auditExport } from './commands/audit-export.ts'
import { auditVerify } from './commands/audit-verify.ts'
import { backup } from './commands/backup.ts'
import { callbacksList } from './commands/callbacks-list.ts'
import { callbacksRedeliver } from './commands/callbacks-redeliver.ts'
import { configCheck } from './commands/config-check.ts'
import { doctor } from './commands/doctor.ts'
import { keysRotate } from './commands/keys-rotate.ts'
import { migrate } from './commands/migrate.ts'
import { restore } from './commands/restore.ts'
import { searchRebuild } from './commands/search-rebuild.ts'
import { seed } from './commands/seed.ts'
import { serve } from './commands/serve.ts'
import { status } from './commands/status.ts'
import { closest } from './suggest.ts'

export const groups: readonly CommandGroup[] = [
  { title: 'Run it', commands: [serve, migrate, seed] },
  {
    title: 'Set it up and look after it',
    commands: [configCheck, doctor, status, adminCreate, adminRecover, keysRotate, searchRebuild],
  },
  { title: 'Keep it safe', commands: [backup, restore] },
  { title: 'Look after callbacks', commands: [callbacksList, callbacksRedeliver] },
  { title: 'Prove what happened', commands: [auditExport, auditVerify] },
]

export const commands: readonly Command[] = groups.flatMap((group) => group.commands)

export type Found =
  | { readonly kind: 'command'; readonly command: Command; readonly words: number }
  /** Only the first word of several commands, as in `hitl audit`. */
  | { readonly kind: 'family'; readonly members: readonly Command[] }
  | { readonly kind: 'unknown'; readonly typed: string; readonly meant: Command | null }

/** The command that the first words name, or the one that was probably meant. */
export function findCommand(words: readonly string[]): Found {
  const [first = '', second] = words
  for (const typed of [`${first} ${second}`, first]) {
    const command = commands.find(({ path }) => path === typed)
    if (command !== undefined) return { kind: 'command', command, words: command.path.split(' ').length }
  }
  const members = commands.filter(({ path }) => path.startsWith(`${first} `))
  if (members.length > 0 && second === undefined) return { kind: 'family', members }
  const meant = members.length > 0 ? likely([second ?? ''], members) : likely(words, commands)
  return { kind: 'unknown', typed: [first, ...(members.length > 0 ? [second] : [])].join(' '), meant }
}

/** Looks for the whole name, its last word, another name for it, or its first word if no other command has that. */
function likely(words: readonly string[], among: readonly Command[]): Command | null {
  const names = new Map<string, Command>()
  for (const command of among) {
    const parts = command.path.split(' ')
    const kin = among.filter(({ path }) => path.startsWith(`${parts[0]} `))
    const ways = [command.path, [...parts].reverse().join(' '), parts.at(-1) ?? '', ...(command.alsoTriedAs ?? [])]
    for (const way of kin.length === 1 ? [...ways, parts[0] ?? ''] : ways) if (!names.has(way)) names.set(way, command)
  }
  for (const typed of [words.slice(0, 2).join(' '), words[0] ?? '']) {
    const meant = closest(typed, [...names.keys()])
    if (meant !== null) return names.get(meant) ?? null
  }
  return null
}
