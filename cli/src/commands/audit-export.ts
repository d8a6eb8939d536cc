import { constants } from 'node:os'
import type { Command, Given } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { createTally, type Destination, fileDestination, standardOutput, type Written } from '../export-destination.ts'
import { requestExport } from '../export-over-http.ts'
import { unavailable, usage } from '../failure.ts'
import type { Output } from '../output.ts'
import { type RemoteService, remoteService, tokenOptions } from '../remote-service.ts'
import { readFromService } from '../service.ts'
import { reasonOf } from '../service-url.ts'

export const auditExport: Command = {
  path: 'audit export',
  alsoTriedAs: ['export', 'dump'],
  summary: 'Write the audit of an organization to a file.',
  about: [
    'Writes every event of an organization, oldest first, with the signed seals that prove them. As JSONL it can be verified (hitl audit verify); as CSV it is for a spreadsheet. It streams, so even a million events take little memory.',
    'It reads the database of the installation, like hitl serve; with --url it asks a remote service, over HTTPS, as a person who may export. Put the token into HITL_TOKEN: every user of the machine can see command lines. The export itself is recorded in the audit.',
    'With --output the file appears only once it is complete: an export that breaks off leaves nothing behind. Only you can read the file, because events name people.',
  ],
  options: [
    { name: 'output', short: 'o', value: 'FILE', about: 'Where to write. Default: standard output.' },
    { name: 'format', value: 'FORMAT', choices: ['jsonl', 'csv'], about: 'Default: jsonl.' },
    {
      name: 'after',
      value: 'SEAL',
      about: 'Only what was sealed after this seal: the last one of your previous export.',
    },
    {
      name: 'organization',
      value: 'ID',
      about:
        'The organization, when there are several (without --url). All zeros: events of the installation, such as those of its signing keys.',
    },
    { name: 'url', value: 'URL', about: 'Ask the service at this address instead of the database here.' },
    ...tokenOptions,
  ],
  examples: [
    { about: 'The whole audit of this installation:', line: 'hitl audit export --output audit.jsonl' },
    {
      about: 'From a remote service, as an auditor:',
      line: 'HITL_TOKEN=... hitl audit export --url https://hitl.example.com -o audit.jsonl',
    },
    {
      about: 'Everything since last night, when the last seal was 4711:',
      line: 'hitl audit export --after 4711 -o tuesday.jsonl',
    },
    { about: 'For a spreadsheet:', line: 'hitl audit export --format csv > audit.csv' },
  ],
  exits: [
    [0, 'the export is complete'],
    [1, 'refused, or the file cannot be written'],
    [64, 'the command line is wrong'],
    [69, 'the database or the service does not respond, or the export broke off: run it again'],
    [78, 'a setting is wrong'],
  ],
  run,
}

async function run(given: Given, output: Output): Promise<number> {
  const path = given.text('output')
  const format = given.text('format') ?? 'jsonl'
  const after = given.text('after')
  if (after !== null && !/^\d{1,15}$/.test(after)) throw usage('--after must be the number of a seal.')
  const remote = remoteOf(given)
  const destination = path === null ? standardOutput : await fileDestination(path)
  const outcome = await transfer(
    async () => (remote === null ? fromService(given, format, after) : fromUrl({ ...remote, format, after })),
    destination,
    format,
  )
  if (typeof outcome === 'number') return outcome
  if (path !== null) output.result(facts(path, format, outcome), text(path, outcome, given.text('url')))
  return exitCodes.done
}

function remoteOf(given: Given): RemoteService | null {
  const address = given.text('url')
  if (address === null) {
    for (const option of ['token', 'allow-http']) {
      if (given.has(option)) throw usage(`--${option} goes with --url.`)
    }
    return null
  }
  if (given.has('organization'))
    throw usage('--organization does not go with --url: the token says which organization.')
  return remoteService(given, address, 'may export')
}

interface Source {
  readonly chunks: AsyncIterable<Uint8Array>
  /** The exit code of the process that wrote them, if it is another one; it has printed the reason itself. */
  readonly ended: Promise<number>
}

async function fromUrl(remote: Parameters<typeof requestExport>[0]): Promise<Source> {
  return { chunks: await requestExport(remote), ended: Promise.resolve(exitCodes.done) }
}

function fromService(given: Given, format: string, after: string | null): Source {
  const organization = given.text('organization')
  const { output, ended } = readFromService('audit export', [
    'audit',
    'export',
    `--format=${format}`,
    ...(after === null ? [] : [`--after=${after}`]),
    ...(organization === null ? [] : [`--organization=${organization}`]),
    ...(given.json ? ['--json'] : []),
  ])
  return { chunks: output, ended }
}

/** Returns what was written, or the exit code of the process that failed and reported it itself. */
async function transfer(
  begin: () => Promise<Source>,
  destination: Destination,
  format: string,
): Promise<Written | number> {
  const tally = createTally(format)
  const forget = dropOnSignal(destination)
  try {
    const { chunks, ended } = await begin()
    await copy(chunks, destination, tally)
    const code = await ended
    if (code !== exitCodes.done) {
      await destination.drop()
      return code
    }
    const written = tally.finish()
    if (written === null) throw brokeOff(tally.bytes(), 'it has no end')
    await destination.keep()
    return written
  } catch (error) {
    await destination.drop()
    throw error
  } finally {
    forget()
  }
}

/** An interrupted export leaves nothing behind either. The exit code is what shells return for a signal. */
function dropOnSignal(destination: Destination): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  let leaving = false
  const leave = (signal: NodeJS.Signals): void => {
    // npx forwards a signal that the terminal has already sent to this process.
    if (leaving) return
    leaving = true
    void destination.drop().finally(() => process.exit(128 + constants.signals[signal]))
  }
  for (const signal of signals) process.on(signal, leave)
  return () => {
    if (!leaving) for (const signal of signals) process.off(signal, leave)
  }
}

async function copy(
  chunks: AsyncIterable<Uint8Array>,
  destination: Destination,
  tally: ReturnType<typeof createTally>,
): Promise<void> {
  const source = chunks[Symbol.asyncIterator]()
  for (;;) {
    const next = await source.next().catch((error: unknown) => {
      throw brokeOff(tally.bytes(), reasonOf(error))
    })
    if (next.done === true) return
    tally.add(next.value)
    await destination.write(next.value)
  }
}

function brokeOff(bytes: number, reason: string) {
  return unavailable(
    'export.broke_off',
    `The export broke off after ${bytes} bytes (${reason}); it is incomplete.`,
    'Run it again.',
  )
}

function facts(file: string, format: string, { bytes, sha256, end }: Written) {
  const sealed =
    end === null
      ? {}
      : { last_seal: end.last_seal, last_position: end.last_position, unsealed_events: end.unsealed_events }
  return { file, format, bytes, sha256, ...sealed }
}

function text(path: string, { bytes, sha256, end }: Written, url: string | null | undefined): string {
  const size = `${bytes.toLocaleString('en').replaceAll(',', ' ')} bytes, SHA-256 ${sha256}`
  if (end === null) return `Wrote ${path}: ${size}`
  const nextTime = `The next one may begin after it: --after ${end.last_seal}`
  return `Wrote ${path}: ${size}\nIt ends with seal ${end.last_seal}, position ${end.last_position}. ${nextTime}\nCheck it with: hitl audit verify ${path} --keys ${url ?? 'URL-OF-THE-SERVICE'}`
}
