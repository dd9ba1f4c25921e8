/** The 12 digits that a person sees of a 64-digit id. */
export function shortId(id: string): string {
  return id.slice(0, 12)
}
