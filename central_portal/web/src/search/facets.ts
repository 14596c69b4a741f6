import type { Facet } from './queries';

/** A value that a filter offers; `count` is null where the shown page does not say. */
export interface Choice {
  value: string;
  title: string;
  count: number | null;
}

/**
 * The values that a filter offers: those of the page, those seen before under the same text, and those
 * chosen, so that choosing one does not make the others disappear.
 */
export function choices(facets: readonly Facet[], seen: readonly string[], chosen: readonly string[]): Choice[] {
  const counts = new Map(facets.map((facet) => [facet.title, facet.count]));
  const values = new Set([...counts.keys(), ...seen, ...chosen]);
  return [...values]
    .filter(Boolean)
    .sort((a, b) => a.localeCompare(b))
    .map((value) => ({ value, title: value, count: counts.get(value) ?? null }));
}

/** The facilities as a filter's values, every one of them, with the page's counts. */
export function facilityChoices(facilities: readonly { id: string; slug: string; name: string }[], facets: readonly Facet[]): Choice[] {
  return facilities.map((facility) => {
    const facet = facets.find((each) => each.id === facility.id || each.id === facility.slug);
    return { value: facility.slug, title: facility.name, count: facet?.count ?? null };
  });
}
