import { createHash, randomBytes } from 'node:crypto'

export const recoveryCodeCount = 10

/** Crockford's base 32: no I, L, O or U to misread. */
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
/** 120 random bits: from 112 on a plain hash is enough (OWASP ASVS 5.0, 6.5.2), so that one look-up finds the code. */
const codeLength = 24
const groupLength = 4

/** Ten codes as people keep them: `ABCD-EFGH-...`. */
export function newRecoveryCodes(): readonly string[] {
  return Array.from({ length: recoveryCodeCount }, () =>
    // The five low bits of a random byte are one of the 32 signs, each as likely as the other.
    [...randomBytes(codeLength)]
      .map((byte, at) => (at > 0 && at % groupLength === 0 ? '-' : '') + alphabet.charAt(byte & 31))
      .join(''),
  )
}

/** SHA-256 of the code as it was meant, however it was typed; null for what cannot be one. */
export function hashRecoveryCode(typed: string): Buffer | null {
  const code = typed.toUpperCase().replace(/[\s-]/g, '').replaceAll('O', '0').replace(/[IL]/g, '1')
  if (code.length !== codeLength || [...code].some((sign) => !alphabet.includes(sign))) return null
  return createHash('sha256').update(code).digest()
}
