/** How strongly a person was authenticated. */
export const assurances = ['unknown', 'single_factor', 'federated', 'multi_factor', 'phishing_resistant'] as const
export type SignInAssurance = (typeof assurances)[number]

/** Derived from how the person signed in; `federated` relies on another sign-in service. */
export function assuranceBy(signedInWith: readonly string[]): SignInAssurance {
  const methods = new Set(signedInWith)
  if (methods.has('passkey')) return 'phishing_resistant'
  if (methods.size > 1) return 'multi_factor'
  if (methods.size === 0) return 'unknown'
  return methods.has('password') ? 'single_factor' : 'federated'
}
