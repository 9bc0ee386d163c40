// Which namespaces a frontend looks at.
export interface NamespaceFilter {
  /** Only this one; undefined or `dynamo` = all. */
  readonly exact: string | undefined;
  /** Only those that begin so; wins. */
  readonly prefix: string | undefined;
}

export function isNamespaceWanted({ exact, prefix }: NamespaceFilter, namespace: string): boolean {
  if (prefix !== undefined) return namespace.startsWith(prefix);
  return exact === undefined || exact === "dynamo" || namespace === exact;
}
