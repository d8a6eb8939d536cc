// Fails if package-lock.json names a package with a known high or critical vulnerability: `node scripts/vulnerabilities.ts`.
// It asks the registry that npm uses. Some registries, mostly mirrors, offer no audits, and some machines are offline: then it
// says so and does not fail.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

interface Answer {
  /** In a report. */
  readonly vulnerabilities?: Readonly<Record<string, { readonly severity: string; readonly range: string }>>
  /** In a refusal. */
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
  process.stdout.write(`The registry did not return an audit: ${message}\n`)
  process.exitCode = 1
}

function parse(text: string): Answer {
  try {
    return JSON.parse(text) as Answer
  } catch {
    return {}
  }
}
