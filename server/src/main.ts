import { adminCreateCommand } from './commands/admin-create.ts'
import { adminRecoverCommand } from './commands/admin-recover.ts'
import { auditExportCommand } from './commands/audit-export.ts'
import { type Command, type Output, parseCommand } from './commands/command.ts'
import { configCheckCommand } from './commands/config-check.ts'
import { keysRotateCommand } from './commands/keys-rotate.ts'
import { migrateCommand } from './commands/migrate.ts'
import { outcomeOf, printOutcome } from './commands/outcome.ts'
import { seedCommand } from './commands/seed.ts'
import { serveCommand } from './commands/serve.ts'
import { loadConfig } from './config.ts'

/** The service's own entry point: strict and terse. The `hitl` command (cli/) calls it, and holds the help texts. */
const commands: Readonly<Record<string, Command>> = {
  serve: serveCommand,
  migrate: migrateCommand,
  seed: seedCommand,
  'config check': configCheckCommand,
  'admin create': adminCreateCommand,
  'admin recover': adminRecoverCommand,
  'keys rotate': keysRotateCommand,
  'audit export': auditExportCommand,
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
  const { command, options } = parseCommand(commands, args)
  process.exitCode = (await command.run(options, createOutput(options.json === true))) ?? process.exitCode ?? 0
} catch (error) {
  const outcome = outcomeOf(error)
  printOutcome(outcome, args.includes('--json'), isTraced())
  process.exit(outcome.exitCode)
}
