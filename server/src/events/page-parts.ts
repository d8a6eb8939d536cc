import { escaped as text } from '../http/html-page.ts'

/** How a person had signed in, for people; by the assurance (identity/assurance.ts). */
export const assuranceWords: Readonly<Record<string, string>> = {
  phishing_resistant: 'with a passkey',
  multi_factor: 'with two factors',
  federated: 'through an identity provider, which vouched for them',
  single_factor: 'with a password only',
  unknown: 'unknown',
}

/** The cells are HTML: what others wrote in them has gone through `escaped`. */
export function table(names: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = names.map((name) => `<th scope="col">${text(name)}</th>`).join('')
  const body = rows.map((row) => `<tr>${row.map((value) => `<td>${value}</td>`).join('')}</tr>`).join('\n')
  return `<table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table>`
}
