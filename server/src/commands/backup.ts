import { backUp } from '../backup/backup.ts'
import { secretKeyCheckOf } from '../platform/secrets/secret-key-check.ts'
import { existingSecretKey } from '../secrets.ts'
import { version } from '../version.ts'
import { writeBackup } from './backup-file.ts'
import { type Run, textOption, UsageError } from './command.ts'
import { withInstallation } from './installation.ts'

export const run: Run = async (options, output) => {
  const path = textOption(options, 'file')
  if (path === null) throw new UsageError('backup needs --file.', 'See: hitl backup --help')
  return withInstallation(async ({ config, database: { connection } }) => {
    const secretKey = await existingSecretKey(config)
    const secretKeyCheck = secretKey === null ? null : secretKeyCheckOf(secretKey)
    const { createdAt, rows, sha256, tables } = await backUp({ connection, version, secretKeyCheck }, (bytes) =>
      writeBackup(path, bytes),
    )
    const facts = { file: path, created_at: createdAt, tables, rows, sha256 }
    const lines = [
      `Wrote ${path === '-' ? 'the backup' : path}: ${rows} rows of ${tables} tables, as of ${createdAt}.`,
      'It holds no keys: keep SECRET_KEY (or the file secret-key in DATA_DIR) and KEY_ENCRYPTION_KEYS elsewhere, for nothing restores without them.',
    ]
    // On standard output stands the backup itself.
    if (path === '-') output.note(lines.join('\n'))
    else output.result(facts, lines.join('\n'))
    return undefined
  })
}
