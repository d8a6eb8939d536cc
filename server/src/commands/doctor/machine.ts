import { access, constants, stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Config } from '../../config.ts'
import { certificateFiles } from '../../metrics/expiring.ts'
import { firstExpiry } from '../../platform/certificate-file.ts'
import { secretKeyFile } from '../../secrets.ts'
import { type Finding, findingsOf } from './finding.ts'

const dayMs = 86_400_000
const soonMs = 14 * dayMs

const modeOf = (path: string): Promise<number | null> =>
  stat(path).then(
    ({ mode }) => mode & 0o777,
    () => null,
  )
const may = (path: string, mode: number): Promise<boolean> =>
  access(path, mode).then(
    () => true,
    () => false,
  )

/** Folders, files and the disk. */
export async function machineFindings(config: Config, now: Date): Promise<readonly Finding[]> {
  return [
    ...(await dataFolder(config)),
    ...(await headsFile(config)),
    ...certificateFiles(config).flatMap(([setting, file]) => certificate(setting, file, now)),
  ]
}

async function dataFolder(config: Config): Promise<readonly Finding[]> {
  const { DATA_DIR, DATA_DIR_FREE_MEBIBYTES } = config
  const mode = await modeOf(DATA_DIR)
  // The first start creates it.
  if (mode === null) return []
  const key = secretKeyFile(config)
  const keyMode = await modeOf(key)
  const { bavail, bsize } = await statfs(DATA_DIR)
  const free = Math.floor((bavail * bsize) / 1_048_576)
  const isPosix = process.platform !== 'win32'
  return findingsOf([
    [
      isPosix && (mode & 0o077) !== 0,
      'machine.data-dir-open',
      'weak',
      `Other accounts of this machine may look into DATA_DIR (${DATA_DIR}, mode ${mode.toString(8)}).`,
      `Run: chmod 700 ${DATA_DIR}`,
    ],
    [
      isPosix && keyMode !== null && (keyMode & 0o077) !== 0,
      'machine.secret-key-open',
      'wrong',
      `Other accounts of this machine may read ${key}, which opens every stored secret.`,
      `Run: chmod 600 ${key}. If somebody may have read it: hitl keys rotate.`,
    ],
    [
      !(await may(DATA_DIR, constants.W_OK | constants.X_OK)),
      'machine.data-dir-closed',
      'wrong',
      `This account may not write to DATA_DIR (${DATA_DIR}).`,
      'Run this as the account of the service, or give it the folder (chown -R).',
    ],
    [
      free < DATA_DIR_FREE_MEBIBYTES,
      'machine.low-disk',
      'wrong',
      `${free} MiB are free beside DATA_DIR, less than DATA_DIR_FREE_MEBIBYTES=${DATA_DIR_FREE_MEBIBYTES}: on a full disk nothing can be saved.`,
      'Free space or enlarge the disk; move backups elsewhere.',
    ],
  ])
}

async function headsFile({ AUDIT_HEADS_FILE: file }: Config): Promise<readonly Finding[]> {
  if (file === null) return []
  const isThere = (await modeOf(file)) !== null
  const isWritable = isThere
    ? await may(file, constants.W_OK)
    : await may(dirname(file), constants.W_OK | constants.X_OK)
  return findingsOf([
    [
      !isWritable,
      'machine.heads-file',
      'wrong',
      `AUDIT_HEADS_FILE (${file}) cannot be written: heads of the audit are not kept outside the database.`,
      'Create its folder and give it to the account of the service.',
    ],
  ])
}

function certificate(setting: string, file: string, now: Date): readonly Finding[] {
  const expiry = firstExpiry(file)
  const left = expiry === null ? 0 : expiry.getTime() - now.getTime()
  const renew = `Put the renewed certificate into ${file}, and restart.`
  return findingsOf([
    [
      expiry === null,
      'machine.certificate-unreadable',
      'wrong',
      `The file in ${setting} (${file}) has no certificate, or cannot be read by this account.`,
      'Name a PEM file, and let the account of the service read it.',
    ],
    [
      expiry !== null && left < soonMs,
      'machine.certificate-expires',
      left < 0 ? 'wrong' : 'weak',
      `A certificate in the file of ${setting} (${file}) ${left < 0 ? 'expired' : 'expires'} on ${expiry?.toISOString().slice(0, 10)}.`,
      renew,
    ],
  ])
}
