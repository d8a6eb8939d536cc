/** The element that a page's header opens on narrow screens, by `popoverTarget`. */
export const navigationId = 'navigation'
