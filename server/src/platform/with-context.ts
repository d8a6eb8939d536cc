/** These functions with their first argument given, as the callers of a service see them. */
export function withContext<
  Context,
  Acts extends Readonly<Record<string, (context: NoInfer<Context>, ...others: never[]) => unknown>>,
>(context: Context, acts: Acts) {
  return Object.fromEntries(Object.entries(acts).map(([name, act]) => [name, act.bind(null, context)])) as {
    readonly [Name in keyof Acts]: Acts[Name] extends (context: never, ...others: infer Others) => infer Result
      ? (...others: Others) => Result
      : never
  }
}
