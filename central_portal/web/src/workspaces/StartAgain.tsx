import { Trans } from '@lingui/react/macro';
import { Link } from '@tanstack/react-router';
import { launchAgain } from './again';
import type { Workspace } from './queries';

/** To the form, filled as this workspace was asked for. */
export function StartAgain({ workspace }: { workspace: Workspace }) {
  return (
    <Link className="btn" to="/launch" search={launchAgain(workspace)}>
      <Trans>Start it again</Trans>
    </Link>
  );
}
