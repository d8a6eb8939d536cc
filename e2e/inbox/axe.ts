import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import { drawn } from '../share.ts'

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
/** Every rule of WCAG 2.2 A and AA that axe can check. */
const everyRule = { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }
/** The rules whose outcome depends on the colours; for the others one look is enough at each width. */
const ofColours = { type: 'rule', values: ['color-contrast', 'link-in-text-block'] }

/** How a page is looked at. */
interface Look {
  readonly width: number
  readonly colours: 'light' | 'dark' | 'forced'
  readonly rules: object
}

/** In light, in dark, and in the system's own colours, at a desk and on a narrow phone. */
const looks: readonly Look[] = [
  { width: 1280, colours: 'light', rules: everyRule },
  { width: 1280, colours: 'dark', rules: ofColours },
  { width: 1280, colours: 'forced', rules: ofColours },
  { width: 320, colours: 'light', rules: everyRule },
  { width: 320, colours: 'dark', rules: ofColours },
]
/** In another language: what its words and its direction change. */
export const abroad: readonly Look[] = [{ width: 320, colours: 'light', rules: everyRule }]

async function violations(page: Page, within: string, runOnly: object): Promise<readonly string[]> {
  const found = (await page.evaluate(`axe.run(${JSON.stringify(within)}, ${JSON.stringify({ runOnly })})`)) as {
    readonly violations: readonly {
      readonly id: string
      readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[]
    }[]
  }
  return found.violations.flatMap(({ id: rule, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${rule}: ${html.slice(0, 160)}: ${failureSummary}`),
  )
}

/** What is wrong with a page, or a part of it: in the first of these ways, and in some of the others. */
export async function flaws(page: Page, within = 'html', ways = looks): Promise<readonly string[]> {
  const found: string[] = []
  // What arrives while axe looks moves the rest, and axe then takes one part for the background of another.
  await page.locator('[aria-busy=true]').first().waitFor({ state: 'detached' })
  // Not by a script element, which the policy refuses.
  await page.evaluate(axe)
  for (const { width, colours, rules } of [...ways.slice(0, 1), ...drawn(ways.slice(1))]) {
    await page.setViewportSize({ width, height: 800 })
    const isForced = colours === 'forced'
    await page.emulateMedia({
      colorScheme: isForced ? 'light' : colours,
      forcedColors: isForced ? 'active' : 'none',
      reducedMotion: 'reduce',
    })
    // The colours change with the frame after next, even where nothing moves.
    await page.evaluate('new Promise((shown) => requestAnimationFrame(() => requestAnimationFrame(shown)))')
    found.push(...(await violations(page, within, rules)).map((flaw) => `${width} px, ${colours}: ${flaw}`))
    const [inner, whole] = (await page.evaluate('[innerWidth, document.documentElement.scrollWidth]')) as number[]
    if (Number(whole) > Number(inner)) found.push(`${whole} px wide in ${inner} px`)
  }
  return found
}
