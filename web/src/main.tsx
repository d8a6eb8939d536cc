import './design/fonts.ts'
import './design/theme.css'
import { createRoot } from 'react-dom/client'
import { App } from './app/app.tsx'
import { loadNewerVersions } from './app/newer-version.ts'
import { preferences } from './design/preferences.ts'
import { keepShell } from './offline/register.ts'
import { speak } from './words/language.ts'

loadNewerVersions()
keepShell()
// Not awaited at the top: the build then divides what all pages share into many more files, which together are larger.
void speak(preferences.get().language).then(() => {
  createRoot(document.getElementById('root') as HTMLElement).render(<App />)
  // Behind the first page. Where it does not come, nothing is kept.
  import('./offline/kept.ts').then(({ keepSeen }) => keepSeen()).catch(() => undefined)
})
