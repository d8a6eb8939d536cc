import { Menu } from 'lucide-react'
import { say } from '../words/say.ts'
import { navigationId } from './navigation.ts'

/** Opens the navigation where it is not beside the page. */
export function MenuButton() {
  return (
    <button
      type="button"
      popoverTarget={navigationId}
      aria-label={say('nav.open')}
      className="-ms-2 grid size-9 place-items-center rounded-control text-mute hover:bg-side wide:hidden pointer-coarse:size-11"
    >
      <Menu className="size-[18px]" aria-hidden="true" />
    </button>
  )
}
