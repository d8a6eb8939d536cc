import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
/** Every rule of WCAG 2.2 A and AA that axe can check. */
const everyRule = { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }
/** The rules whose outcome depends on the colours; for the others one look is enough at each width. */
const ofColours = { type: 'rule', values: ['color-contrast', 'link-in-text-block'] }

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

/** What is wrong with a page, or a part of it, in light and in dark, at a desk and on a narrow phone. */
export async function flaws(page: Page, within = 'html'): Promise<readonly string[]> {
  const found: string[] = []
  // What arrives while axe looks moves the rest, and axe then takes one part for the background of another.
  await page.locator('[aria-busy=true]').first().waitFor({ state: 'detached' })
  // Not by a script element, which the policy refuses.
  await page.evaluate(axe)
  for (const width of [1280, 320]) {
    await page.setViewportSize({ width, height: 800 })
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      // The colours change with the frame after next, even where nothing moves.
      await page.evaluate('new Promise((shown) => requestAnimationFrame(() => requestAnimationFrame(shown)))')
      const violated = await violations(page, within, colorScheme === 'light' ? everyRule : ofColours)
      found.push(...violated.map((flaw) => `${width} px, ${colorScheme}: ${flaw}`))
    }
    const [inner, whole] = (await page.evaluate('[innerWidth, document.documentElement.scrollWidth]')) as number[]
    if (Number(whole) > Number(inner)) found.push(`${whole} px wide in ${inner} px`)
  }
  return found
}
