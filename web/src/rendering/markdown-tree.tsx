import MarkdownIt from 'markdown-it'
import { createElement, Fragment, type ReactNode } from 'react'
import { say } from '../words/say.ts'
import { Segments } from './agent-text.tsx'
import { CodeView } from './code-view.tsx'
import { languageOf } from './language.ts'
import { Link } from './link.tsx'

/**
 * Markdown as elements. The parser's tokens become elements of the list below and nothing else; no HTML is made of them, so there
 * is none to clean. Nothing is loaded: a picture is a link.
 */
const parser = new MarkdownIt('default', { html: false, linkify: false, maxNesting: 20 })

type Token = ReturnType<typeof parser.parse>[number]

const elements: Readonly<Record<string, string>> = {
  p: 'p',
  ul: 'ul',
  ol: 'ol',
  li: 'li',
  blockquote: 'blockquote',
  strong: 'strong',
  em: 'em',
  s: 's',
  table: 'table',
  thead: 'thead',
  tbody: 'tbody',
  tr: 'tr',
  th: 'th',
  td: 'td',
}

export function Markdown({ text }: { readonly text: string }) {
  return <div className="markdown wrap-anywhere max-w-prose text-read">{build(parser.parse(text, {}))}</div>
}

interface Open {
  readonly token: Token | null
  readonly children: ReactNode[]
}

/** Tokens that open and close, as a tree. */
function build(tokens: readonly Token[]): ReactNode {
  const open: Open[] = [{ token: null, children: [] }]
  tokens.forEach((token, at) => {
    if (token.nesting === 1) open.push({ token, children: [] })
    else if (token.nesting === -1) {
      const done = open.pop()
      if (done?.token) open.at(-1)?.children.push(elementOf(done.token, done.children, at))
    } else open.at(-1)?.children.push(createElement(Fragment, { key: at }, leafOf(token)))
  })
  return open[0]?.children
}

function elementOf(token: Token, children: ReactNode[], key: number): ReactNode {
  if (token.hidden) return <Fragment key={key}>{children}</Fragment>
  if (token.tag === 'a') {
    const url = URL.parse(String(token.attrGet('href') ?? ''))
    const isKnown = url !== null && ['http:', 'https:', 'mailto:'].includes(url.protocol)
    return isKnown ? (
      <Fragment key={key}>
        <Link url={url} text={textOf(children)} />
      </Fragment>
    ) : (
      <Fragment key={key}>{children}</Fragment>
    )
  }
  // A heading of the agent's is none of the page.
  if (/^h[1-6]$/.test(token.tag)) {
    return (
      <p key={key} className="font-semibold">
        {children}
      </p>
    )
  }
  const name = elements[token.tag]
  return name === undefined ? <Fragment key={key}>{children}</Fragment> : createElement(name, { key }, children)
}

function leafOf(token: Token): ReactNode {
  switch (token.type) {
    case 'inline':
      return build(token.children ?? [])
    case 'softbreak':
      return ' '
    case 'hardbreak':
      return <br />
    case 'hr':
      return <hr />
    case 'code_inline':
      return (
        <code>
          <Segments text={token.content} />
        </code>
      )
    case 'fence':
    case 'code_block':
      return (
        <CodeView
          text={token.content}
          language={languageOf(token.info.trim().split(/\s/)[0] ?? null)}
          label={say('shown.code')}
        />
      )
    case 'image': {
      const url = URL.parse(String(token.attrGet('src') ?? ''))
      const isWeb = url !== null && /^https?:$/.test(url.protocol)
      const named = token.content === '' ? say('shown.image') : say('shown.image_of', { name: token.content })
      return isWeb ? <Link url={url} text={named} /> : <Segments text={named} />
    }
    default:
      return <Segments text={token.content} lines />
  }
}

/** What a link says, as text: its look must not be the agent's. */
function textOf(children: readonly ReactNode[]): string {
  return children.map(plain).join('')
}

function plain(node: ReactNode): string {
  if (typeof node === 'string') return node
  if (Array.isArray(node)) return node.map(plain).join('')
  if (typeof node !== 'object' || node === null || !('props' in node)) return ''
  const { text, children } = node.props as { readonly text?: unknown; readonly children?: ReactNode }
  return typeof text === 'string' ? text : plain(children)
}
