import { lazy, Suspense } from 'react'
import { LongText } from './long-text.tsx'

const Markdown = lazy(() => import('./markdown-tree.tsx').then((loaded) => ({ default: loaded.Markdown })))

/** More is shown as text. */
const mostCharacters = 50_000

/** Markdown of an agent or a person, which is text until the parser is there. */
export function MarkdownView({ text }: { readonly text: string }) {
  const asText = <LongText text={text} />
  if (text.length > mostCharacters) return asText
  return (
    <Suspense fallback={asText}>
      <Markdown text={text} />
    </Suspense>
  )
}
