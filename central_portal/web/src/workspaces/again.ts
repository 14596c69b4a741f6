import type { LaunchAddress } from '../lib/address';
import type { Workspace } from './queries';

/** The deep link that fills the form as this workspace was asked for. */
export function launchAgain(workspace: Workspace): LaunchAddress {
  return {
    facility: workspace.facility.slug,
    dataset: workspace.dataset ?? undefined,
    environment: workspace.environment?.slug,
    flavour: workspace.flavour?.slug,
    proposal: workspace.proposals.length ? workspace.proposals : undefined,
    title: workspace.title || undefined,
  };
}
