import { join } from 'node:path'
import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'
import { compileWords } from './build/compile-words.ts'
import { precompress } from './build/precompress.ts'
import { serviceWorker } from './build/service-worker.ts'
import { writeStamp } from './build/stamp.mjs'

export default defineConfig({
  root: import.meta.dirname,
  // Files name one another relative to themselves, because PUBLIC_URL may have a path that is only known at the start.
  base: './',
  plugins: [
    compileWords(),
    react(),
    tailwindcss(),
    precompress(),
    serviceWorker(),
    { name: 'stamp', closeBundle: writeStamp },
  ],
  build: {
    outDir: join(import.meta.dirname, 'dist'),
    emptyOutDir: true,
    // For scripts/web-size.ts.
    manifest: true,
    // A data: font or image would need more of the Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    target: 'baseline-widely-available',
  },
})
