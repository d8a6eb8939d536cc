import { type KeyEncryptionKey, parseKeyEncryptionKeys } from '../platform/secrets/key-encryption.ts'
import type { DatabaseSettings } from './database.ts'
import { isProduction, type ServiceSettings } from './service.ts'
import { optional, type Rule, type Setting, secret, type Values } from './setting.ts'

export const secretSettings = {
  SECRET_KEY: secret(
    optional(
      'Signs access tokens and encrypts callback secrets; at least 32 characters. Generated into DATA_DIR when unset.',
      'openssl rand -base64 48',
    ),
  ),
  SECRET_KEY_PREVIOUS: secret(
    optional(
      'The former SECRET_KEY: its tokens and sealed values stay valid until you remove it.',
      'the former SECRET_KEY',
    ),
  ),
  KEY_ENCRYPTION_KEYS: secret({
    about:
      'Keys that protect the stored secrets, id:base64 each, the first one current; default: one made from SECRET_KEY.',
    example: 'k2:dGhpcyBpcyBhbiBleGFtcGxlOiBtYWtlIGFub3RoZXI=,k1:YW5kIHRoaXMgaXMgdGhlIG9uZSBpdCByZXBsYWNlcy4=',
    fallback: [],
    read: parseKeyEncryptionKeys,
  } as Setting<readonly KeyEncryptionKey[]>),
}

export type SecretSettings = Values<typeof secretSettings>

/** Published sample values, known to everyone who has read this repository or a tutorial. */
const knownSecrets = /^(secret|change|your|example|sample|test|default|password|supersecret|insecure|please)|(.)\2{15}/i

const isPrintable = ({ key }: KeyEncryptionKey): boolean => /^[ -~]+$/.test(key.export().toString('latin1'))

export const secretRules = (values: SecretSettings & DatabaseSettings & ServiceSettings): readonly Rule[] => {
  const { SECRET_KEY, DATABASE_URL, KEY_ENCRYPTION_KEYS } = values
  const production = isProduction(values)
  const isShort = SECRET_KEY !== null && SECRET_KEY.length < 32
  const isKnown = SECRET_KEY !== null && knownSecrets.test(SECRET_KEY)
  const makeOne = 'make one with "openssl rand -base64 48"'
  return [
    [
      production && SECRET_KEY === null && DATABASE_URL !== null,
      `SECRET_KEY is required in production with an external database: ${makeOne}`,
    ],
    [isShort, `SECRET_KEY must have at least 32 characters: ${makeOne}`],
    [production && !isShort && isKnown, `SECRET_KEY is a published sample value: ${makeOne}`],
    [
      production && KEY_ENCRYPTION_KEYS.some(isPrintable),
      'KEY_ENCRYPTION_KEYS has a key that is text, not random: make it with "openssl rand -base64 32"',
    ],
  ]
}
