import type { ReactNode } from 'react'

/** A list with a hairline between its rows. */
export function Rows({ label, children }: { readonly label: string; readonly children: ReactNode }) {
  return (
    <ul aria-label={label} className="divide-y divide-line border-line border-b">
      {children}
    </ul>
  )
}

export interface RowProps {
  readonly title: ReactNode
  readonly detail?: ReactNode
  readonly mark?: ReactNode
  /** What was unfolded. */
  readonly below?: ReactNode
  readonly children?: ReactNode
}

/** What it is, what is worth knowing about it, and what can be done with it. */
export function Row({ title, detail, mark, below, children }: RowProps) {
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-2 py-2.5">
      <div className="min-w-0 flex-1 basis-64">
        <div className="flex flex-wrap items-center gap-x-2 font-medium">
          <span className="min-w-0 break-words">{title}</span>
          {mark}
        </div>
        {detail === undefined ? null : <div className="break-words text-mute text-small">{detail}</div>}
      </div>
      {children === undefined ? null : <div className="flex flex-wrap items-center gap-2">{children}</div>}
      {below === undefined || below === null ? null : <div className="w-full pb-2 ps-4">{below}</div>}
    </li>
  )
}

/** A word about a row's state. */
export function Mark({ tone = 'plain', children }: { readonly tone?: keyof typeof tones; readonly children: string }) {
  return <span className={`rounded-small border px-1.5 font-medium text-tiny ${tones[tone]}`}>{children}</span>
}

const tones = {
  plain: 'border-line text-mute',
  good: 'border-line text-low',
  warning: 'border-current text-high',
  bad: 'border-current text-critical',
} as const

/** Where nothing is yet: what would be here, and how it gets here. */
export function Empty({ children, action }: { readonly children: ReactNode; readonly action?: ReactNode }) {
  return (
    <div className="grid justify-items-start gap-3 rounded-box border border-line border-dashed p-5">
      <p className="max-w-prose text-mute">{children}</p>
      {action}
    </div>
  )
}
