import { ChevronRight } from 'lucide-react'
import type { Request } from '../api/requests.ts'
import { say } from '../words/say.ts'
import { VisibleText } from './visible-text.tsx'

export interface RawProps {
  readonly request: Request
  readonly isOpen: boolean
  readonly onToggle: (open: boolean) => void
}

/** What the digest covers, as it was asked, and the digest. */
export function Raw({ request, isOpen, onToggle }: RawProps) {
  const { title, description, context, action, answer, justification, presentation, attachments } = request
  const asked = { title, description, context, action, answer, justification, presentation, attachments }
  return (
    <section className="mt-[22px]" aria-label={say('raw.title')}>
      <button
        type="button"
        aria-expanded={isOpen}
        className="-ms-1 flex items-center gap-1 rounded-small px-1 font-medium text-faint text-small hover:text-ink pointer-coarse:min-h-11"
        onClick={() => onToggle(!isOpen)}
      >
        <ChevronRight className={`size-3.5 ${isOpen ? 'rotate-90' : 'rtl:-scale-x-100'}`} aria-hidden="true" />
        {say('raw.title')}
      </button>
      {isOpen ? (
        <div className="mt-2 grid gap-2">
          <p className="text-mute text-small">
            {say('raw.digest')} <span className="break-all font-mono text-ink">{request.digest}</span>
          </p>
          <pre
            className="max-h-96 overflow-auto rounded-box border border-line px-3 py-2 font-mono text-small"
            dir="ltr"
            // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by the keyboard
            tabIndex={0}
          >
            <VisibleText text={JSON.stringify(asked, null, 2)} />
          </pre>
        </div>
      ) : null}
    </section>
  )
}
