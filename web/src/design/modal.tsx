import { Dialog } from '@base-ui/react/dialog'
import type { ReactNode, RefObject } from 'react'

export interface ModalProps {
  readonly title: string
  readonly onClose: () => void
  readonly children: ReactNode
  /** What has the focus at first. */
  readonly initialFocus?: RefObject<HTMLElement | null>
  readonly isTitleHidden?: boolean
  readonly className?: string
}

/** A dialog over the page. While it is open, the page's own keys do nothing (keys/keyboard.ts). */
export function Modal({ title, onClose, children, initialFocus, isTitleHidden = false, className = '' }: ModalProps) {
  return (
    <Dialog.Root open onOpenChange={(open) => open || onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="fixed inset-0 z-20 bg-veil" />
        <Dialog.Popup
          {...(initialFocus === undefined ? {} : { initialFocus })}
          className={`fixed start-1/2 top-[12vh] z-20 max-h-[76vh] w-[min(520px,calc(100vw-32px))] -translate-x-1/2 overflow-auto rounded-box border border-line bg-pane shadow-float rtl:translate-x-1/2 ${className}`}
        >
          <Dialog.Title className={isTitleHidden ? 'sr-only' : 'px-5 pt-5 font-semibold text-[15px]'}>
            {title}
          </Dialog.Title>
          {children}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  )
}
