import { readMailbox, readSmtpUrl } from '../platform/smtp-settings.ts'
import { optional, type Rule, secret, type Values } from './setting.ts'

export const mailSettings = {
  SMTP_URL: secret(
    optional(
      'Mail relay, smtps:// or smtp:// (then with STARTTLS, except on this machine); unset: no mail is sent.',
      'smtps://user:password@mail.example.com',
      readSmtpUrl,
    ),
  ),
  SMTP_CA: optional('File with the certificate authority of the mail relay.', '/run/secrets/mail-ca.pem'),
  MAIL_FROM: optional('Sender of mail: an address, or Name <address>.', 'HITL <hitl@example.com>', readMailbox),
}

export type MailSettings = Values<typeof mailSettings>

export const mailRules = ({ SMTP_URL, MAIL_FROM }: MailSettings): readonly Rule[] => [
  [SMTP_URL !== null && MAIL_FROM === null, 'MAIL_FROM is needed with SMTP_URL: name the address that mail comes from'],
]
