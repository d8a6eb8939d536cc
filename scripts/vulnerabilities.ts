// Whether a known vulnerability, high or critical, is in what package-lock.json names: `node scripts/vulnerabilities.ts`.
// Asks the registry that npm is set to. Some registries, mirrors mostly, offer no audits, and a machine may be cut off: that
// is said, and is no failure.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

interface Answer {
  /** Of a report. */
  readonly vulnerabilities?: Readonly<Record<string, { readonly severity: string; readonly range: string }>>
  /** Of a refusal. */
  readonly statusCode?: number
  readonly message?: string
}

const notOffered = [404, 405, 410, 501]
const grave = ['high', 'critical']

const { stdout, stderr } = spawnSync('npm', ['audit', '--audit-level=high', '--json', '--fetch-retries=0'], {
  cwd: join(import.meta.dirname, '..'),
  encoding: 'utf8',
  maxBuffer: 2 ** 26,
  shell: process.platform === 'win32',
})
const { vulnerabilities, statusCode, message = stderr } = parse(stdout)
if (vulnerabilities !== undefined) {
  const found = Object.entries(vulnerabilities).filter(([, { severity }]) => grave.includes(severity))
  for (const [name, { severity, range }] of found) process.stdout.write(`${severity}: ${name} ${range}\n`)
  process.stdout.write(`${found.length} high or critical, ${Object.keys(vulnerabilities).length} in all\n`)
  process.exitCode = found.length === 0 ? 0 : 1
} else if (statusCode !== undefined && notOffered.includes(statusCode)) {
  process.stdout.write(`NOT CHECKED: the registry offers no audits (${message}). Run "npm audit" where one does.\n`)
} else if (statusCode === undefined && /^request to .* failed/.test(message)) {
  process.stdout.write(`NOT CHECKED: the registry cannot be reached (${message}). Run "npm audit" where it can.\n`)
} else {
  process.stdout.write(`The registry did not answer the audit: ${message}\n`)
  process.exitCode = 1
}

function parse(text: string): Answer {
  try {
    return JSON.parse(text) as Answer
  } catch {
    return {}
  }
}
