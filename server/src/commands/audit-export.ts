import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { App } from '../app.ts'
import { organizationNotFound } from '../identity/organizations/organization.ts'
import { organizationIds } from '../identity/organizations/store.ts'
import { installationId } from '../platform/ids.ts'
import { Problem } from '../platform/problem.ts'
import { organizationOption, type Run, textOption, UsageError } from './command.ts'
import { withApp } from './installation.ts'

/** Writes to standard output only: the `hitl` command puts it into a file. */
export const run: Run = async (options) => {
  const format = textOption(options, 'format') ?? 'jsonl'
  if (format !== 'jsonl' && format !== 'csv') throw new UsageError('--format must be one of: jsonl, csv.')
  const after = textOption(options, 'after')
  if (after !== null && !/^\d{1,15}$/.test(after)) throw new UsageError('--after must be the number of a seal.')
  const asked = organizationOption(options)
  return withApp(async (app) => {
    const organizationId = await choose(app, asked)
    const lines = await app.audit.exportHere(organizationId, format, after === null ? null : Number(after))
    if (lines === null) {
      const detail = `There is no seal ${after} to start after. Leave out --after, or name the last seal of an export.`
      throw new Problem(404, 'audit.seal_not_found', detail)
    }
    await pipeline(Readable.from(lines), process.stdout, { end: false }).catch((error: NodeJS.ErrnoException) => {
      // The reader closed the pipe, as `| head` does.
      if (error.code !== 'EPIPE') throw error
    })
    return undefined
  })
}

async function choose(app: App, asked: string | null): Promise<string> {
  const all = await organizationIds(app.db.within({ worker: true }))
  if (asked !== null && asked !== installationId && !all.includes(asked)) {
    throw organizationNotFound(`There is no organization ${asked}.`)
  }
  const [only] = all
  if (asked !== null) return asked
  if (all.length > 1) {
    throw new UsageError(`There are ${all.length} organizations.`, `Name one with --organization: ${listed(all)}.`)
  }
  if (only === undefined) throw organizationNotFound('There is no organization yet.')
  return only
}

function listed(ids: readonly string[]): string {
  return ids.length > 5 ? `${ids.slice(0, 5).join(', ')}, ...` : ids.join(', ')
}
