import { flag, httpUrl, integer, optional, type Rule, secret, text, type Values } from './setting.ts'

export const attachmentSettings = {
  ATTACHMENT_MAX_MIB: integer('Largest attachment, in MiB.', 25, 1, 1_024),
  ATTACHMENT_MAX_PER_REQUEST: integer('Most attachments of one request.', 20, 1, 100),
  ATTACHMENT_ORGANIZATION_MIB: integer(
    'What all attachments of one organization may come to, in MiB.',
    10_240,
    1,
    1_048_576,
  ),
  S3_ENDPOINT: optional(
    'S3-compatible store for attachments, https:// (or http:// with S3_ALLOW_HTTP); unset: they are kept in PostgreSQL.',
    'https://s3.eu-central-1.amazonaws.com',
    readEndpoint,
  ),
  S3_BUCKET: optional('Bucket of the store.', 'hitl-attachments', readBucket),
  S3_REGION: text('Region of the store.', 'us-east-1'),
  S3_ACCESS_KEY_ID: optional('Access key of the store.', 'AKIAIOSFODNN7EXAMPLE'),
  S3_SECRET_ACCESS_KEY: secret(optional('Secret of that key.', 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY')),
  S3_PATH_STYLE: flag(
    'Whether the bucket is in the path, as most stores other than AWS have it, or in the name.',
    true,
  ),
  S3_PREFIX: optional(
    'Beginning of the keys of objects, where the bucket holds other things too.',
    'hitl/',
    readPrefix,
  ),
  S3_ALLOW_HTTP: flag('Whether the store may be reached without TLS.', false),
}

export type AttachmentSettings = Values<typeof attachmentSettings>

export const attachmentRules = (settings: AttachmentSettings): readonly Rule[] => {
  const { S3_ENDPOINT: endpoint, S3_ALLOW_HTTP } = settings
  const missing = (['S3_BUCKET', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'] as const).map(
    (name): Rule => [endpoint !== null && settings[name] === null, `${name} is needed with S3_ENDPOINT`],
  )
  const others = ['S3_BUCKET', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'].filter(
    (name) => settings[name as 'S3_BUCKET'] !== null,
  )
  const isPlain = endpoint?.startsWith('http:') === true
  return [
    ...missing,
    [
      endpoint === null && others.length > 0,
      `S3_ENDPOINT is needed with ${others[0]}: without it, files are kept in PostgreSQL`,
    ],
    [
      isPlain && !S3_ALLOW_HTTP,
      'S3_ENDPOINT is http://, which sends attachments in the clear: use https://, or set S3_ALLOW_HTTP=true',
    ],
  ]
}

function readEndpoint(value: string): string {
  const url = new URL(httpUrl(value))
  if (url.username !== '' || url.search !== '' || url.pathname !== '/') {
    throw new Error('must be an http:// or https:// URL without a path, a query or credentials')
  }
  return url.origin
}

function readBucket(value: string): string {
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(value)) {
    throw new Error('must be the name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens')
  }
  return value
}

function readPrefix(value: string): string {
  if (!/^(?:[A-Za-z0-9_-]+\/){1,8}$/.test(value))
    throw new Error('must be folders of letters, digits, _ and -, each ending in /')
  return value
}
