import type { EnvironmentFull, FacilityFull, FlavourFull } from '../facilities/queries';
import type { LaunchAddress } from '../lib/address';

const HOUR = 3600;
const USUAL_LIFETIMES = [1 * HOUR, 4 * HOUR, 8 * HOUR, 24 * HOUR, 72 * HOUR];
const USUAL_LIFETIME = 8 * HOUR;
export const MOST_PROPOSALS = 20;
export const LONGEST_TITLE = 200;
const LONGEST_PROPOSAL = 100;

/** What a person has chosen in the form; slugs, so that it fits into an address. Lifetime in seconds. */
export interface Choice {
  environment: string;
  flavour: string;
  lifetime: number;
  proposals: string[];
  title: string;
}

/** What a choice means at a facility: only things that it offers. */
export interface Offer {
  environment: EnvironmentFull;
  flavour: FlavourFull;
  lifetimes: number[];
}

/** The lifetimes to choose from, in seconds: the usual ones that a size allows, or its longest. */
export function lifetimes(longest: number): number[] {
  const fitting = USUAL_LIFETIMES.filter((each) => each <= longest);
  return fitting.length ? fitting : [longest];
}

/** `wanted` when it is among `offered`, else the usual one, else the longest that is shorter than usual. */
export function lifetimeAmong(offered: readonly number[], wanted: number | undefined): number {
  if (wanted !== undefined && offered.includes(wanted)) return wanted;
  if (offered.includes(USUAL_LIFETIME)) return USUAL_LIFETIME;
  return offered.filter((each) => each < USUAL_LIFETIME).at(-1) ?? offered[0] ?? USUAL_LIFETIME;
}

/** The recommended size, else the smallest by CPUs and memory. */
export function firstFlavour(environment: EnvironmentFull): FlavourFull | undefined {
  const recommended = environment.flavours.find((each) => each.id === environment.recommendedFlavour?.id);
  return recommended ?? [...environment.flavours].sort((a, b) => a.cpus - b.cpus || a.memory - b.memory)[0];
}

/** What `choice` means at `facility`; what is not offered there is replaced. Null when nothing is offered. */
export function offerOf(facility: FacilityFull, choice: Choice): Offer | null {
  const startable = facility.environments.filter((each) => each.flavours.length > 0);
  const environment = startable.find((each) => each.slug === choice.environment) ?? startable[0];
  if (!environment) return null;
  const flavour = environment.flavours.find((each) => each.slug === choice.flavour) ?? firstFlavour(environment);
  return flavour ? { environment, flavour, lifetimes: lifetimes(flavour.longestSeconds) } : null;
}

/** What the form begins with: the wishes of a deep link, else what was used last there, else what is offered first. */
export function firstChoice(facility: FacilityFull, wish: LaunchAddress, lastEnvironment: string | null): Choice | null {
  const wanted: Choice = {
    environment: wish.environment ?? lastEnvironment ?? '',
    flavour: wish.flavour ?? '',
    lifetime: wish.lifetime ?? USUAL_LIFETIME,
    proposals: withProposals([], wish.proposal ?? []),
    title: (wish.title ?? '').slice(0, LONGEST_TITLE),
  };
  const offer = offerOf(facility, wanted);
  return offer && settled(wanted, offer);
}

/** The choice with everything that is not offered replaced by what is. */
export function settled(choice: Choice, offer: Offer): Choice {
  return {
    ...choice,
    environment: offer.environment.slug,
    flavour: offer.flavour.slug,
    lifetime: lifetimeAmong(offer.lifetimes, choice.lifetime),
  };
}

/** Whether it is a task without a proposal for its results, which every facility refuses. */
export const lacksProposal = (choice: Choice, offer: Offer): boolean =>
  offer.environment.usedAs === 'TASK' && choice.proposals.length === 0;

/** `before` and the proposals named in `added`, each once, no more than a workspace mounts. */
export function withProposals(before: readonly string[], added: readonly string[]): string[] {
  const names = added.map((each) => each.trim()).filter((each) => each && each.length <= LONGEST_PROPOSAL);
  return [...new Set([...before, ...names])].slice(0, MOST_PROPOSALS);
}

/** The deep link that fills the form in the same way again. */
export function linkOf(facility: { slug: string }, choice: Choice, dataset: string | undefined): LaunchAddress {
  return {
    facility: facility.slug,
    dataset,
    environment: choice.environment,
    flavour: choice.flavour,
    lifetime: choice.lifetime,
    proposal: choice.proposals.length ? choice.proposals : undefined,
    title: choice.title || undefined,
  };
}
