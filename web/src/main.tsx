import './design/fonts.ts'
import './design/theme.css'
import { createRoot } from 'react-dom/client'
import { App } from './app/app.tsx'
import { loadNewerVersions } from './app/newer-version.ts'

loadNewerVersions()
createRoot(document.getElementById('root') as HTMLElement).render(<App />)
