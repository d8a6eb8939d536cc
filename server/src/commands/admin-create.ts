import type { App } from '../app.ts'
import { loadConfig } from '../config.ts'
import { Problem } from '../platform/problem.ts'
import { type Options, type Output, organizationOption, type Run, textOption, UsageError } from './command.ts'
import { type Installation, withApp } from './installation.ts'
import { checkPasswordOptions, choosePassword } from './password.ts'

export const run: Run = async (options, output) => {
  const asked = read(options)
  // A broken configuration is reported first: it should not hide behind a missing terminal.
  loadConfig()
  checkPasswordOptions(options)
  return withApp((app, installation) => create(app, installation, asked, options, output))
}

interface Asked {
  readonly email: string
  readonly name: string | null
  readonly role: 'owner' | 'admin'
  readonly organizationId: string | null
}

function read(options: Options): Asked {
  const email = textOption(options, 'email')
  if (email === null) throw new UsageError('admin create needs --email.', 'See: hitl admin create --help')
  const role = textOption(options, 'role') ?? 'admin'
  if (role !== 'owner' && role !== 'admin') throw new UsageError('--role must be one of: owner, admin.')
  return { email, name: textOption(options, 'name'), role, organizationId: organizationOption(options) }
}

async function create(
  app: App,
  { config }: Installation,
  { email, name, role, organizationId }: Asked,
  options: Options,
  output: Output,
): Promise<undefined> {
  const { password, generated } = await choosePassword(options, email)
  const user = await app.identity.people
    .createAdmin({ email, name, password }, role, organizationId, 'hitl admin create')
    .catch((error: unknown) => {
      throw error instanceof Problem && error.code === 'auth.email_taken' ? taken(email, error) : error
    })
  const facts = { id: user.id, email: user.email, name: user.name, role, organization_id: user.organizationId }
  const lines = [
    `${user.email} is ${role === 'owner' ? 'the owner' : 'an admin'} of the organization ${user.organizationId}.`,
    ...(generated ? [`Password: ${password}`, 'It is shown only once, and stored nowhere.'] : []),
    `They sign in at ${config.publicUrl}/docs, with Authorize.`,
  ]
  output.result(generated ? { ...facts, password } : facts, lines.join('\n'))
  return undefined
}

function taken(email: string, cause: Problem): Problem {
  const detail = `There is already an account ${email}; it was left unchanged. Change its role in the service, or use another address.`
  return new Problem(409, cause.code, detail, { cause })
}
