/** What comes before every path of this service in browsers and letters: empty, or like `/hitl` where PUBLIC_URL has a path. */
export function publicPath(publicUrl: string): string {
  return new URL(publicUrl).pathname.replace(/\/+$/, '')
}

/** The service's own path: some proxies pass on the path of PUBLIC_URL, others take it away. No path of ours begins with it. */
export function ownPath(url: string, path: string): string {
  if (!url.startsWith(path) || !['/', '?', ''].includes(url.charAt(path.length))) return url
  const rest = url.slice(path.length)
  return rest.startsWith('/') ? rest : `/${rest}`
}
