/** A key, as it is written on the keyboard. It repeats what aria-keyshortcuts tells assistive technology. */
export function Kbd({ children, className = '' }: { readonly children: string; readonly className?: string }) {
  return (
    <span aria-hidden="true">
      <kbd
        className={`inline-block min-w-[18px] rounded-small border border-line px-1 text-center font-sans text-faint text-tiny ${className}`}
      >
        {children}
      </kbd>
    </span>
  )
}
