import { Check, Copy } from 'lucide-react'
import { useState } from 'react'
import { say } from '../words/say.ts'
import { Button } from './button.tsx'

/** A text to copy. Over plain HTTP a browser lets no script copy; then it is selected by one click. */
export function Copied({ label, text }: { readonly label: string; readonly text: string }) {
  const [isCopied, setCopied] = useState(false)
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text)
    setCopied(true)
  }
  return (
    <div className="grid gap-2">
      <section
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by key (WCAG 2.2, 2.1.1)
        tabIndex={0}
        aria-label={label}
        className="max-h-60 select-all overflow-auto whitespace-pre-wrap break-all rounded-control border border-line bg-side p-3 font-mono text-small [font-variant-ligatures:none]"
      >
        {text}
      </section>
      {navigator.clipboard === undefined ? null : (
        <Button
          className="justify-self-start"
          onClick={copy}
          aria-label={say(isCopied ? 'copy.done.what' : 'copy.what', { what: label })}
        >
          {isCopied ? (
            <Check className="size-3.5" aria-hidden="true" />
          ) : (
            <Copy className="size-3.5" aria-hidden="true" />
          )}
          {say(isCopied ? 'copy.done' : 'copy.button')}
        </Button>
      )}
      <p role="status" className="sr-only">
        {isCopied ? say('copy.done') : ''}
      </p>
    </div>
  )
}
