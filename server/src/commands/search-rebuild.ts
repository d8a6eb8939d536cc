import { organizationNotFound } from '../identity/organizations/organization.ts'
import { organizationIds } from '../identity/organizations/store.ts'
import { organizationOption, type Run } from './command.ts'
import { withApp } from './installation.ts'

export const run: Run = async (options, output) => {
  const asked = organizationOption(options)
  return withApp(async (app) => {
    const all = await organizationIds(app.db.within({ worker: true }))
    if (asked !== null && !all.includes(asked)) throw organizationNotFound(`There is no organization ${asked}.`)
    const ids = asked === null ? all : [asked]
    for (const id of ids) await app.consultations.rebuildSearch(id)
    output.result(
      { organizations: ids.length },
      `The search index of ${ids.length} organization${ids.length === 1 ? '' : 's'} is empty now. ` +
        'The workers of the service are filling it again; until they have, a search finds part of what there is.',
    )
    return undefined
  })
}
