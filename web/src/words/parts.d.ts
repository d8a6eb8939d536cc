/** Parts of a file of words, which the build makes (build/compile-words.ts): compiled messages by their names. */
declare module '*.json?first' {
  const words: Record<string, string>
  export default words
}

declare module '*.json?all' {
  const words: Record<string, string>
  export default words
}

declare module '*.json?later' {
  const words: Record<string, string>
  export default words
}
