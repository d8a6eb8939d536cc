const noCaller = 'Nobody is signed in, so whoever guessed the key would get the reply.'
const newSession = `${noCaller} And the reply is a session: a repetition opens another, and the lost one ends unused.`
const setsCookie = 'The reply sets a cookie, which is kept nowhere.'

/** The POST operations without Idempotency-Key, by operationId, and why a repetition needs none. */
export const unrepeatableActs: Readonly<Record<string, string>> = {
  login: newSession,
  secondFactor: newSession,
  passkeySignIn: newSession,
  passkeyOptions: `${noCaller} A repetition gets another challenge.`,
  refreshSession: `${newSession} A browser sends the cookie that it has.`,
  register: `${noCaller} A repetition learns that the address is taken, and can sign in.`,
  forgotPassword: `${noCaller} A repetition sends another letter, within the limits of letters.`,
  resetPassword: `${noCaller} A repetition learns that the link was used, and the new password works.`,
  confirmEmail: `${noCaller} A repetition learns that the link was used.`,
  revokeLeakedApiKey: `${noCaller} A repetition finds the key revoked, with the same reply.`,
  logout: 'Without a session there is no caller any more; with another one, a repetition must end that.',
  switchOrganization: `${setsCookie} It opens a session: a repetition opens another, and the lost one ends unused.`,
  linkSso: `${setsCookie} It only begins: a repetition begins again, and what was begun expires.`,
}
