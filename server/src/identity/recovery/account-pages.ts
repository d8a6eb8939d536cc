import type { FastifyInstance } from 'fastify'
import { type FormParts, formPage, sendPage } from '../../http/html-page.ts'
import { publicPath } from '../../http/public-path.ts'

const newPassword = `<label for="password">New password (at least 8 characters)</label>
<input id="password" name="password" type="password" autocomplete="new-password" minlength="8" maxlength="72" required>`

const formsAt = (installation: string): readonly (FormParts & { readonly path: string })[] => [
  {
    path: '/password/forgot',
    title: 'Forgot your password?',
    call: '/api/v1/auth/password/forgot',
    fields: `<label for="email">Email</label><input id="email" name="email" type="email" autocomplete="username" required>`,
    button: 'Send me a link',
    done: 'If the address has an account, a link is on its way. Look into your mailbox.',
  },
  {
    path: '/password/reset',
    title: 'Choose a new password',
    call: '/api/v1/auth/password/reset',
    fields: newPassword,
    button: 'Use this password',
    done: `Done. <a href="${installation}/docs">Sign in</a> with the new password.`,
  },
  {
    path: '/email/confirm',
    title: 'Confirm your address',
    call: '/api/v1/auth/email/confirm',
    // A button: programs that look into mail follow links, but they press nothing.
    fields: '',
    button: 'This address is mine',
    done: 'Done. Your address is confirmed.',
  },
]

/** The pages that mailed links lead to, and the one where a person asks for one. */
export function registerAccountPages(app: FastifyInstance, publicUrl: string): void {
  for (const { path, ...form } of formsAt(publicPath(publicUrl))) {
    const page = formPage(form, publicUrl)
    app.get(path, { schema: { hide: true } }, async (_request, reply) => sendPage(reply, page))
  }
}
