// "Did you mean …?": the known word that a misspelt one is closest to, or nothing when none is close enough to be meant.
import { distance } from 'fastest-levenshtein'

/** The one of `known` nearest to `word`, ignoring case; undefined when more than a third of the letters differ. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (word.length > 128) return undefined
  const wanted = word.toLowerCase()
  let best: string | undefined
  let least = Math.max(2, Math.floor(wanted.length / 3)) + 1
  for (const candidate of known) {
    const away = distance(wanted, candidate.toLowerCase())
    if (away < least && away < candidate.length) {
      best = candidate
      least = away
    }
  }
  return best
}
