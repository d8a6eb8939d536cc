import { Type } from 'typebox'
import { purposes } from './signing-key.ts'

const nullable = (description: string) =>
  Type.Union([Type.String({ format: 'date-time' }), Type.Null()], { description })

export const keySetSchema = Type.Object(
  {
    keys: Type.Array(
      Type.Object(
        {
          kty: Type.Enum(['OKP'], { description: 'The kind of key (RFC 8037).' }),
          crv: Type.Enum(['Ed25519'], { description: 'Its curve.' }),
          x: Type.String({ description: 'The public key, 32 bytes in base64url.' }),
          kid: Type.String({ description: 'As in the header of what it signed: the RFC 7638 thumbprint.' }),
          alg: Type.Enum(['EdDSA'], { description: 'How it signs.' }),
          use: Type.Enum(['sig'], { description: 'It signs.' }),
          purpose: Type.Enum([...purposes], { description: 'The one kind of thing that it signs.' }),
          active_at: Type.String({ format: 'date-time', description: 'It signs from then on.' }),
          retired_at: nullable('It signs nothing after that; null while it has no successor.'),
          revoked_at: nullable(
            'It leaked: what it signed counts only where something else proves it. Only keys of the audit stay in the set then.',
          ),
        },
        { title: 'PublicKey' },
      ),
      { description: 'Each with its purpose and its period.' },
    ),
  },
  { $id: 'KeySet', title: 'KeySet' },
)

export const keySetExample = {
  keys: [
    {
      kty: 'OKP',
      crv: 'Ed25519',
      x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
      kid: 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
      alg: 'EdDSA',
      use: 'sig',
      purpose: 'certificate',
      active_at: '2026-01-31T09:00:00.000Z',
      retired_at: null,
      revoked_at: null,
    },
  ],
}
