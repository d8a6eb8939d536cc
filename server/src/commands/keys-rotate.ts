import type { App } from '../app.ts'
import { ConfigError } from '../config.ts'
import { type Purpose, purposes } from '../identity/signing-keys/signing-key.ts'
import type { RewrapReport } from '../platform/secrets/envelope-rewrap.ts'
import { type Output, type Run, textOption, UsageError } from './command.ts'
import { withApp } from './installation.ts'
import { exitFailed } from './outcome.ts'

export const run: Run = async (options, output) => {
  const only = textOption(options, 'only')
  const leaked = purposeOf(textOption(options, 'leaked'))
  const newDataKeys = options['new-data-keys'] === true
  if (only !== null && only !== 'signing' && only !== 'data') {
    throw new UsageError('--only must be one of: signing, data.')
  }
  if ((leaked !== null && only === 'data') || (newDataKeys && (only === 'signing' || leaked !== null))) {
    throw new UsageError('--leaked is for signing keys, --new-data-keys for data keys.')
  }
  const signing = only !== 'data'
  const data = only !== 'signing' && leaked === null
  return withApp(async (app) => {
    if (options['secret-key-lost'] === true) await app.noteSecretKey({ formerIsLost: true })
    const mistakes = await app.secretKeyMistakes()
    if (mistakes.length > 0) throw new ConfigError(mistakes)
    const made = signing ? await rotateSigning(app, leaked) : []
    if (newDataKeys) output.note('This waits half a minute, until every process seals with the new data keys.')
    const rewrapped = data ? await app.rewrap({ rotateDataKeys: newDataKeys }) : null
    return report(made, rewrapped, output)
  })
}

function purposeOf(text: string | null): Purpose | null {
  const purpose = purposes.find((known) => known === text) ?? null
  if (text !== null && purpose === null) throw new UsageError(`--leaked must be one of: ${purposes.join(', ')}.`)
  return purpose
}

interface NewKey {
  readonly purpose: Purpose
  readonly kid: string
  readonly activeAt: Date
  readonly revoked: boolean
}

/** Makes new signing keys for every purpose; or, at once, for the one purpose whose key has leaked. */
async function rotateSigning({ identity: { signingKeys } }: App, leaked: Purpose | null): Promise<readonly NewKey[]> {
  const inUse = new Set((await signingKeys.keySet()).map(({ purpose }) => purpose))
  const wanted = leaked === null ? purposes.filter((purpose) => inUse.has(purpose)) : [leaked]
  const made: NewKey[] = []
  for (const purpose of wanted) {
    const { kid, activeAt } = await signingKeys.rotate(purpose, leaked === null ? {} : { revoke: true })
    made.push({ purpose, kid, activeAt, revoked: leaked !== null })
  }
  return made
}

function report(made: readonly NewKey[], rewrapped: RewrapReport | null, output: Output): number | undefined {
  const facts = {
    signing_keys: made.map(({ purpose, kid, activeAt, revoked }) => ({
      purpose,
      kid,
      active_at: activeAt,
      earlier_revoked: revoked,
    })),
    data_keys: rewrapped === null ? null : { organizations: rewrapped.organizations, ...rewrapped.dataKeys },
    values: rewrapped?.values ?? null,
  }
  const lines = [
    ...made.map(
      ({ purpose, kid, activeAt, revoked }) =>
        `New key for ${purpose}: ${kid}, ${revoked ? 'signs now; signatures of earlier keys no longer count' : `signs from ${activeAt.toISOString()}`}.`,
    ),
    ...(rewrapped === null ? [] : dataLines(rewrapped)),
  ]
  output.result(facts, lines.join('\n'))
  return rewrapped !== null && lost(rewrapped) > 0 ? exitFailed : undefined
}

const lost = ({ dataKeys, values }: RewrapReport): number => dataKeys.unavailable + values.unreadable

function dataLines(report: RewrapReport): readonly string[] {
  const { dataKeys, values } = report
  const done = `${counted(dataKeys.rewrapped, 'data key')} wrapped again, ${counted(values.resealed, 'stored secret')} encrypted again.`
  if (lost(report) === 0) {
    return [
      done,
      'All are under the current keys. Earlier KEY_ENCRYPTION_KEYS, if you have any, can be removed.',
      'If SECRET_KEY_PREVIOUS is set, keep it until the access tokens of the former SECRET_KEY have expired, ACCESS_TOKEN_EXPIRE_MINUTES after the last process started with the new one. Repeating an older call under its Idempotency-Key needs it, too.',
    ]
  }
  return [
    done,
    `${counted(dataKeys.unavailable, 'data key')} and ${counted(values.unreadable, 'stored secret')} could not be opened: the keys that protect them are not in the settings. Keep the earlier keys in KEY_ENCRYPTION_KEYS and SECRET_KEY_PREVIOUS, and run this again; the log above names them.`,
  ]
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
