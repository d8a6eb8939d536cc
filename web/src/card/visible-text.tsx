import { codePointsOf, partsOf } from './invisible.ts'

/** Text from elsewhere, with every character that hides or reorders others written out. */
export function VisibleText({ text }: { readonly text: string }) {
  return partsOf(text).map(({ text: part, isHidden, at }) =>
    isHidden ? (
      <span key={at} className="mx-px rounded-small bg-removed px-0.5 font-mono text-critical text-tiny" dir="ltr">
        {codePointsOf(part)}
      </span>
    ) : (
      part
    ),
  )
}
