import { Trans, useLingui } from '@lingui/react/macro';
import { Link } from '@tanstack/react-router';
import { Notice } from '../ui/Notice';
import { Skeleton } from '../ui/Skeleton';

/** A page whose code is on its way. */
export function Waiting() {
  return (
    <div className="page" aria-busy="true">
      <Skeleton lines={2} className="" />
      <Skeleton lines={5} />
    </div>
  );
}

/** No page has this address. */
export function Missing() {
  const { t } = useLingui();
  return (
    <div className="page">
      <title>{t`Not found – Parasol`}</title>
      <h1>
        <Trans>There is no page at this address</Trans>
      </h1>
      <p>
        <Trans>The address may be mistyped, or what it named is gone.</Trans>
      </p>
      <div className="row">
        <Link className="btn primary" to="/facilities">
          <Trans>Show facilities</Trans>
        </Link>
        <Link className="btn" to="/search">
          <Trans>Search data</Trans>
        </Link>
      </div>
    </div>
  );
}

/** A page that failed while it was drawn, or whose code could not be loaded after an update. */
export function Broken() {
  const { t } = useLingui();
  return (
    <div className="page">
      <title>{t`Parasol`}</title>
      <h1>
        <Trans>This page could not be shown</Trans>
      </h1>
      <Notice
        tone="bad"
        title={<Trans>A part of the portal failed in your browser, or was replaced by a newer version.</Trans>}
        actions={
          <button type="button" className="btn" onClick={() => location.reload()}>
            <Trans>Load the page again</Trans>
          </button>
        }
      >
        <Trans>Your workspaces keep running; nothing was stopped.</Trans>
      </Notice>
    </div>
  );
}
