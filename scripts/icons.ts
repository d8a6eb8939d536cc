// Makes the icons of the inbox from web/public/icon.svg, for systems that take no SVG: `node scripts/icons.ts`. Needs Chromium.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startBrowser } from '../e2e/inbox/browser.ts'

const folder = join(import.meta.dirname, '../web/public')

/** `isWhole`: the system cuts the shape out by itself, so the ground reaches into the corners. */
const icons = [
  { name: 'icon-192.png', size: 192, isWhole: false },
  { name: 'icon-512.png', size: 512, isWhole: false },
  { name: 'icon-maskable.png', size: 512, isWhole: true },
  { name: 'apple-touch-icon.png', size: 180, isWhole: true },
] as const

const svg = await readFile(join(folder, 'icon.svg'), 'utf8')
const browser = await startBrowser()
try {
  for (const { name, size, isWhole } of icons) {
    const page = await browser.newPage({ viewport: { width: size, height: size } })
    const drawn = isWhole ? svg.replace(/ rx="\d+"/, '') : svg
    await page.setContent(`<style>body { margin: 0 } svg { display: block }</style>${drawn}`)
    await page.screenshot({ path: join(folder, name), omitBackground: true })
    await page.close()
    process.stdout.write(`${name}\n`)
  }
} finally {
  await browser.close()
}
