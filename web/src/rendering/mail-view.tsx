import type { ReactNode } from 'react'
import { say } from '../words/say.ts'
import { AgentText } from './agent-text.tsx'
import { LongText } from './long-text.tsx'
import { isObject } from './pointer.ts'
import { labelOf } from './shape.ts'

/** In the order of a mail's head. */
const heads = ['from', 'reply_to', 'to', 'recipients', 'cc', 'bcc', 'subject', 'headers'] as const
const bodies = ['body', 'text', 'message', 'content', 'html'] as const

export interface MailViewProps {
  readonly mail: Readonly<Record<string, unknown>>
  /** How the rest is drawn. */
  readonly part: (name: string) => ReactNode
}

/** A mail as its receiver would read it: head, text, and what else it has. HTML is shown as it is written, never drawn. */
export function MailView({ mail, part }: MailViewProps) {
  const head = heads.filter((name) => isAddresses(mail[name]))
  const body = bodies.filter((name) => typeof mail[name] === 'string')
  const others = Object.keys(mail).filter((name) => ![...head, ...body].includes(name as never))
  return (
    <div className="grid gap-3">
      <article className="rounded-box border border-line">
        <dl className="grid grid-cols-[72px_minmax(0,1fr)] gap-x-3 gap-y-1 border-line border-b px-4 py-3">
          {head.map((name) => (
            <div key={name} className="contents">
              <dt className="text-mute">{labelOf(name)}</dt>
              <dd className={name === 'subject' ? 'font-medium' : ''}>
                {name === 'subject' ? <AgentText text={String(mail[name])} /> : <Addresses value={mail[name]} />}
              </dd>
            </div>
          ))}
        </dl>
        {body.map((name) => (
          <div key={name} className="px-4 py-3">
            {body.length > 1 ? <p className="mb-1 text-faint text-small">{labelOf(name)}</p> : null}
            {name === 'html' || /^\s*<(?:!doctype|html|body|p|div|table)\b/i.test(String(mail[name])) ? (
              <>
                <p className="mb-1 text-mute text-small">{say('mail.html')}</p>
                <LongText text={String(mail[name])} className="font-mono text-small" />
              </>
            ) : (
              <LongText text={String(mail[name])} />
            )}
          </div>
        ))}
      </article>
      {others.map((name) => (
        <div key={name}>{part(name)}</div>
      ))}
    </div>
  )
}

const nameOf = (value: unknown): string | null => {
  if (typeof value === 'string') return value
  if (!isObject(value)) return null
  const address = value.email ?? value.address
  if (typeof address !== 'string') return null
  return typeof value.name === 'string' ? `${value.name} <${address}>` : address
}

const isAddresses = (value: unknown): boolean =>
  Array.isArray(value) ? value.length > 0 && value.every((item) => nameOf(item) !== null) : nameOf(value) !== null

const mostShown = 20

function Addresses({ value }: { readonly value: unknown }) {
  const all = (Array.isArray(value) ? value : [value]).map((item) => nameOf(item) ?? '')
  return (
    <span className="flex flex-wrap gap-x-3 wrap-anywhere">
      {all.slice(0, mostShown).map((text, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: addresses may repeat
        <AgentText key={at} text={text} />
      ))}
      {all.length > mostShown ? (
        <details>
          <summary className="text-accent">{say('shown.more', { count: all.length - mostShown })}</summary>
          <AgentText text={all.slice(mostShown).join('\n')} lines className="whitespace-pre-wrap" />
        </details>
      ) : null}
    </span>
  )
}
