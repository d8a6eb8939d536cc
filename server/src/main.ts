import { type Command, type Output, parseCommand } from './commands/command.ts'
import { outcomeOf, printOutcome } from './commands/outcome.ts'
import { loadConfig } from './config.ts'

const text = { type: 'string' } as const
const flag = { type: 'boolean' } as const

/** The service's own entry point: strict and terse. The `hitl` command (cli/) calls it, and holds the help texts. */
const commands: Readonly<Record<string, Command>> = {
  serve: { options: {}, load: () => import('./commands/serve.ts') },
  migrate: { options: {}, load: () => import('./commands/migrate.ts') },
  seed: { options: {}, load: () => import('./commands/seed.ts') },
  'config check': { options: { connect: flag, strict: flag }, load: () => import('./commands/config-check.ts') },
  status: { options: { backups: text }, load: () => import('./commands/status.ts') },
  doctor: { options: { strict: flag }, load: () => import('./commands/doctor.ts') },
  'admin create': {
    options: {
      email: text,
      name: text,
      role: text,
      organization: text,
      'password-stdin': flag,
      'generate-password': flag,
    },
    load: () => import('./commands/admin-create.ts'),
  },
  'admin recover': {
    options: { email: text, 'remove-second-factors': flag },
    load: () => import('./commands/admin-recover.ts'),
  },
  'keys rotate': {
    options: {
      only: text,
      leaked: text,
      'new-data-keys': flag,
      'secret-key-lost': flag,
    },
    load: () => import('./commands/keys-rotate.ts'),
  },
  'audit export': {
    options: { organization: text, format: text, after: text },
    load: () => import('./commands/audit-export.ts'),
  },
  'search rebuild': { options: { organization: text }, load: () => import('./commands/search-rebuild.ts') },
  backup: { options: { file: text }, load: () => import('./commands/backup.ts') },
  restore: { options: { file: text, release: flag }, load: () => import('./commands/restore.ts') },
}

function createOutput(json: boolean): Output {
  return {
    json,
    result: (value, text) => void process.stdout.write(`${json ? JSON.stringify(value) : text}\n`),
    note: (text) => {
      if (!json) process.stderr.write(`${text}\n`)
    },
  }
}

/** With a detailed log, an unexpected error is printed with its stack. */
function isTraced(): boolean {
  try {
    return ['debug', 'trace'].includes(loadConfig().LOG_LEVEL)
  } catch {
    return false
  }
}

const args = process.argv.slice(2)
try {
  const { name, command, options } = parseCommand(commands, args)
  // Mistakes in the settings are reported before the service's 1 800 modules are loaded, which takes a second.
  if (name !== 'config check' && name !== 'doctor') loadConfig()
  const { run } = await command.load()
  process.exitCode = (await run(options, createOutput(options.json === true))) ?? process.exitCode ?? 0
} catch (error) {
  const outcome = outcomeOf(error)
  printOutcome(outcome, args.includes('--json'), isTraced())
  process.exit(outcome.exitCode)
}
