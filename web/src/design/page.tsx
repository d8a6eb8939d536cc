import type { ReactNode } from 'react'
import { MenuButton } from './menu-button.tsx'

export interface PageProps {
  readonly title: string
  /** One sentence under the title. */
  readonly about?: string
  /** What can be done with the whole page, at the end of its header. */
  readonly actions?: ReactNode
  readonly children: ReactNode
}

/** A page besides the inbox: its header, and a column that scrolls. */
export function Page({ title, about, actions, children }: PageProps) {
  return (
    <main className="min-w-0 overflow-auto bg-pane">
      <div className="mx-auto grid max-w-5xl gap-6 px-4 py-6 wide:px-8">
        <header className="grid gap-3">
          <div className="flex flex-wrap items-center gap-x-2 gap-y-3">
            <MenuButton />
            <h1 className="font-semibold text-title tracking-tight">{title}</h1>
            {actions === undefined ? null : <div className="ms-auto flex flex-wrap gap-2">{actions}</div>}
          </div>
          {about === undefined ? null : <p className="max-w-prose text-mute">{about}</p>}
        </header>
        {children}
      </div>
    </main>
  )
}

export interface SectionProps {
  readonly title: string
  readonly about?: string
  readonly actions?: ReactNode
  readonly children: ReactNode
}

export function Section({ title, about, actions, children }: SectionProps) {
  return (
    <section className="grid gap-4" aria-label={title}>
      <div className="flex min-h-9 flex-wrap items-center gap-x-4 gap-y-2 border-line border-b pb-2">
        <h2 className="font-medium text-read">{title}</h2>
        {actions === undefined ? null : <div className="ms-auto flex flex-wrap gap-2">{actions}</div>}
      </div>
      {about === undefined ? null : <p className="max-w-prose text-mute">{about}</p>}
      {children}
    </section>
  )
}
