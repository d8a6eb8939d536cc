import encodeQR from 'qr'
import { say } from '../words/say.ts'

/** Made here, because the secret in it is nobody else's business. Dark on light whatever the theme: cameras expect that. */
export function QrCode({ text }: { readonly text: string }) {
  const modules = encodeQR(text, 'raw', { ecc: 'medium', border: 2 })
  const path = modules.flatMap((row, y) => row.map((isDark, x) => (isDark ? `M${x} ${y}h1v1h-1z` : ''))).join('')
  return (
    <svg
      viewBox={`0 0 ${modules.length} ${modules.length}`}
      role="img"
      aria-label={say('qr.label')}
      className="size-48"
    >
      <rect width="100%" height="100%" fill="#fff" />
      <path d={path} fill="#000" shapeRendering="crispEdges" />
    </svg>
  )
}
