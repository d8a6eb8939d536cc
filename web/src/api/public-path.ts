/** What comes before every path of the service, such as `/hitl`; empty at the root. The service writes it into the page. */
export const publicPath = (document.querySelector<HTMLMetaElement>('meta[name="public-path"]')?.content ?? '/').replace(
  /\/$/,
  '',
)
