import type { FastifyInstance } from 'fastify'
import { formPage, sendPage } from '../../http/html-page.ts'
import { publicPath } from '../../http/public-path.ts'

const form = {
  title: 'Set up your account',
  call: '/api/v1/auth/register',
  token: 'invitation',
  fields: `<label for="email">Email</label><input id="email" name="email" type="email" autocomplete="username" required>
<label for="name">Name</label><input id="name" name="name" autocomplete="name" maxlength="255">
<label for="password">Password (at least 8 characters)</label>
<input id="password" name="password" type="password" autocomplete="new-password" minlength="8" maxlength="72" required>`,
  button: 'Create account',
}

/** `/setup#<token>`: where the first admin, or an invited person, makes an account. */
export function registerSetupPage(app: FastifyInstance, publicUrl: string): void {
  // The reply does not tell whether the address had an account, so neither does the page.
  const done = `Done. Sign in at <a href="${publicPath(publicUrl)}/docs">${publicPath(publicUrl)}/docs</a>, with <b>Authorize</b>. If this address had an account already, its password is still the old one: sign in with that, and use this invitation to join.`
  const page = formPage({ ...form, done }, publicUrl)
  app.get('/setup', { schema: { hide: true } }, async (_request, reply) => sendPage(reply, page))
}
