import { randomUUID } from 'node:crypto'
import { createAccessTokens } from '../../../src/identity/access-token.ts'
import { newId } from '../../../src/platform/ids.ts'
import { openTestSession, secretKey, type TestApp } from '../../harness.ts'
import { addPerson, type TestPerson } from '../../people-and-keys.ts'
import { recordedEvents } from '../../recorded-events.ts'

/** A new sign-in at the time of the test's clock, with these `methods`. */
export async function signedIn(
  t: TestApp,
  person: Pick<TestPerson, 'organizationId' | 'id'>,
  methods: readonly string[] = ['password'],
): Promise<string> {
  const { organizationId, id: userId } = person
  const sessionId = await openTestSession(t.sql, organizationId, userId)
  await t.sql('update sessions set signed_in_at = $2, signed_in_with = $3 where id = $1', [
    sessionId,
    t.clock.now(),
    methods,
  ])
  return (await createAccessTokens(secretKey, 30).sign({ organizationId, userId, sessionId }, t.clock.now())).token
}

export interface Company {
  readonly organizationId: string
  readonly name: string
  readonly owner: TestPerson
  readonly admin: TestPerson
  readonly reviewer: TestPerson
  readonly auditor: TestPerson
}

/** An organization with one of each role. */
export async function addCompany(t: TestApp): Promise<Company> {
  const organizationId = newId()
  const name = `Company ${organizationId.slice(-8)}`
  await t.sql('insert into organizations (organization_id, name) values ($1, $2)', [organizationId, name])
  const add = (role: string) => addPerson(t, organizationId, role)
  return {
    organizationId,
    name,
    owner: await add('owner'),
    admin: await add('admin'),
    reviewer: await add('reviewer'),
    auditor: await add('auditor'),
  }
}

/** The same account in one more organization. */
export async function alsoIn(
  t: TestApp,
  { id }: TestPerson,
  organizationId: string,
  role = 'reviewer',
): Promise<TestPerson> {
  const userId = randomUUID()
  await t.sql(
    `insert into users (organization_id, id, account_id, email, email_key, role, created_at, updated_at)
     select $1, $2, account_id, email, email_key, $4, now(), now() from users where id = $3`,
    [organizationId, userId, id, role],
  )
  const person = { organizationId, id: userId }
  return { ...person, token: await signedIn(t, person) }
}

/** The organization's events of these kinds, oldest first. */
export const told = (t: TestApp, organization: string, ...kinds: readonly string[]) =>
  recordedEvents(t.sql, { organization, kinds })
