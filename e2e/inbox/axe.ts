import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

/** Every rule of WCAG 2.2 A and AA that axe can check. */
export async function violations(page: Page, within = 'html'): Promise<readonly string[]> {
  // Not by a script element, which the policy refuses.
  await page.evaluate(axe)
  const found = (await page.evaluate(
    `axe.run(${JSON.stringify(within)}, { runOnly: { type: 'tag', values: ${JSON.stringify(tags)} } })`,
  )) as {
    readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly html: string }[] }[]
  }
  return found.violations.map(
    ({ id: rule, nodes }) => `${rule}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`,
  )
}

/** What is wrong with a page, or a part of it, in light and in dark, at a desk and on a narrow phone. */
export async function flaws(page: Page, within = 'html'): Promise<readonly string[]> {
  const found: string[] = []
  for (const width of [1280, 320]) {
    await page.setViewportSize({ width, height: 800 })
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      // The colours change with the frame after next, even where nothing moves.
      await page.evaluate('new Promise((shown) => requestAnimationFrame(() => requestAnimationFrame(shown)))')
      found.push(...(await violations(page, within)).map((flaw) => `${width} px, ${colorScheme}: ${flaw}`))
    }
    const [inner, whole] = (await page.evaluate('[innerWidth, document.documentElement.scrollWidth]')) as number[]
    if (Number(whole) > Number(inner)) found.push(`${whole} px wide in ${inner} px`)
  }
  return found
}
