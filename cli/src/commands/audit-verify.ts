import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { type KeySet, type Verification, verifyExport } from '../audit-verify.ts'
import type { Command, Given } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { failed, unavailable, usage } from '../failure.ts'
import type { Output } from '../output.ts'
import { at, reasonOf, serviceUrl } from '../service-url.ts'
import { verificationText } from '../verification-text.ts'

export const auditVerify: Command = {
  path: 'audit verify',
  alsoTriedAs: ['verify', 'prove', 'proof'],
  summary: 'Check offline whether anything in an export was changed.',
  about: [
    'Recomputes every hash of a JSONL export and checks every signature, without the service: it finds any event that was edited, removed, added, moved or cut off, and reports where. It reads the file once, in constant memory.',
    'It needs the public keys of the installation: /.well-known/jwks.json. Keep an earlier copy apart from the exports: a person who can change an export may not be able to change the copy. With --heads it also compares with the heads that the service wrote elsewhere (AUDIT_HEADS_FILE), which reveals a history that was rewritten, or cut off at its end; heads that were sealed after the export was made are only remarked on.',
    'Intact means that nothing in the file is wrong. The result also lists what the file cannot prove.',
  ],
  argument: { name: 'FILE', about: 'the export, as JSONL; - for standard input' },
  options: [
    {
      name: 'keys',
      value: 'FILE|URL',
      required: true,
      about: 'The public keys: a saved jwks.json, or the address of the installation to fetch them from.',
    },
    { name: 'heads', value: 'FILE', about: 'Heads that were written outside the database, one per line.' },
  ],
  examples: [
    {
      about: 'With keys that you saved earlier:',
      line: 'hitl audit verify audit.jsonl --keys keys.json',
    },
    {
      about: 'With the keys that the service publishes now and the heads kept elsewhere:',
      line: 'hitl audit verify audit.jsonl --keys https://hitl.example.com --heads audit-heads.jsonl',
    },
    {
      about: 'Straight from an export, for a nightly check:',
      line: 'hitl audit export | hitl audit verify - --keys keys.json --json',
    },
  ],
  exits: [
    [0, 'intact'],
    [1, 'not checked: a file or the keys cannot be read'],
    [2, 'changed: the findings say where'],
    [3, 'not proven: a key is missing or was revoked, or an erasure was not sealed yet; the findings say what to do'],
    [64, 'the command line is wrong'],
    [69, 'the keys could not be fetched'],
  ],
  run: verify,
}

/** How much is read at once. */
const readAtOnce = 1 << 20

async function verify(given: Given, output: Output): Promise<number> {
  const path = given.argument ?? '-'
  if (/\.csv$/i.test(path)) {
    throw usage('A CSV export contains no proof.', 'To verify, export as JSONL (the default of hitl audit export).')
  }
  const publicKeys = await readKeys(given.text('keys') ?? '')
  const headsPath = given.text('heads')
  const heads = headsPath === null ? null : await read(headsPath)
  const source = path === '-' ? process.stdin : createReadStream(path, { highWaterMark: readAtOnce })
  const options = { publicKeys, ...(heads === null ? {} : { expectHead: heads }) }
  const verification = await verifyExport(source, options).catch((error: NodeJS.ErrnoException) => {
    throw error.syscall === undefined ? failed('audit.not_checked', error.message) : unreadable(path, error)
  })
  output.result(asJson(verification), verificationText(verification, path === '-' ? 'The export' : path))
  if (verification.ok) return exitCodes.done
  return verification.changed ? exitCodes.tampered : exitCodes.unproven
}

async function readKeys(place: string): Promise<KeySet> {
  const text = /^https?:\/\//.test(place) ? await fetchKeys(place) : await read(place)
  try {
    const keys = JSON.parse(text) as KeySet
    if (Array.isArray(keys.keys)) return keys
  } catch {
    // Reported below: it is not a key set.
  }
  throw failed('keys.unreadable', `${place} contains no key set ({"keys":[...]}).`, 'See: hitl audit verify --help')
}

async function fetchKeys(place: string): Promise<string> {
  const given = serviceUrl('keys', place, false)
  const url = given.pathname.endsWith('.json') ? given : at(given, '/.well-known/jwks.json')
  try {
    const answer = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(30_000) })
    if (!answer.ok) throw new Error(`it returned ${answer.status}`)
    return await answer.text()
  } catch (error) {
    throw unavailable('keys.unavailable', `The keys could not be fetched from ${url.href}: ${reasonOf(error)}.`)
  }
}

async function read(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw unreadable(path, error)
  })
}

function unreadable(path: string, { code, message }: NodeJS.ErrnoException) {
  return failed(
    'file.unreadable',
    code === 'ENOENT' ? `There is no file ${path}.` : `${path} cannot be read: ${message}.`,
  )
}

function asJson(verification: Verification) {
  const { lastSeal, heads } = verification
  return {
    intact: verification.ok,
    changed: verification.changed,
    organization_id: verification.organizationId,
    events: verification.events,
    seals: verification.seals,
    erased: verification.erased,
    first_position: verification.firstPosition,
    last_position: verification.lastPosition,
    last_seal:
      lastSeal === null ? null : { number: lastSeal.number, sealed_at: lastSeal.sealedAt, head: lastSeal.head },
    exported_at: verification.exportedAt,
    heads: {
      compared: heads.compared,
      compared_up_to_seal: heads.comparedUpToSeal,
      before_the_file: heads.before,
      after_the_export: heads.later,
      of_other_organizations: heads.ofOthers,
    },
    finding_count: verification.findingCount,
    findings: verification.findings,
    limits: verification.limits,
  }
}
