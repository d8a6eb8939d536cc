import { randomUUID } from 'node:crypto'
import { type RestoreOptions, restore } from '../backup/restore.ts'
import { ConfigError } from '../config.ts'
import { systemClock } from '../platform/clock.ts'
import { existingSecretKey, keysThatBackupLacks } from '../secrets.ts'
import { readBackup } from './backup-file.ts'
import { type Output, type Run, textOption, UsageError } from './command.ts'
import { withApp, withInstallation } from './installation.ts'

export const run: Run = async (options, output) => {
  const path = textOption(options, 'file')
  if ((path === null) === (options.release !== true)) {
    throw new UsageError('restore needs either --file or --release.', 'See: hitl restore --help')
  }
  return path === null ? release(output) : restoreFrom(path, output)
}

async function restoreFrom(path: string, output: Output): Promise<undefined> {
  const source = await readBackup(path)
  return withInstallation(async ({ config, database: { connection } }) => {
    // Where there is no key yet, none opens what was sealed with another one.
    const secretKey = (await existingSecretKey(config)) ?? randomUUID()
    const refuseKeys: RestoreOptions['refuseKeys'] = (keys, check) => {
      const mistakes = keysThatBackupLacks(keys, check, secretKey, config)
      if (mistakes.length > 0) throw new ConfigError(mistakes)
    }
    const done = await restore({ connection, refuseKeys, clock: systemClock }, source)
    const { backedUpAt, version, sha256, rows } = done
    const lines = [
      `Restored ${rows} rows of ${backedUpAt}, written by version ${version}.`,
      'Callbacks and mail are held, because the original may have sent them since. When this copy takes its place: hitl restore --release',
    ]
    output.result({ backed_up_at: backedUpAt, version, sha256, rows, callbacks_held: true }, lines.join('\n'))
    return undefined
  })
}

function release(output: Output): Promise<undefined> {
  return withApp(async ({ restored }) => {
    const { callbacks, letters } = await restored.waiting()
    const released = await restored.release()
    const text = released
      ? `Released. Waiting callbacks: ${callbacks}, letters: ${letters}. Each is sent when it is due, by the running service or at its next start.`
      : 'Nothing is held: this is no restored copy, or it was released before.'
    output.result({ released, ...(released ? { callbacks, letters } : {}) }, text)
    return undefined
  })
}
