import { Trans, useLingui } from '@lingui/react/macro';
import { useParams, useSearch } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { Button } from 'react-aria-components';
import { useSession } from '../api/session';
import { useFacilities } from '../facilities/useFacilities';
import type { FacilitySummary } from '../facilities/queries';
import { connectPath } from '../lib/paths';
import { Missing } from '../shell/fallbacks';
import { Notice } from '../ui/Notice';
import { ReadError } from '../ui/ReadError';
import { SignInNotice } from '../ui/SignInNotice';
import { Skeleton } from '../ui/Skeleton';
import { Status } from '../ui/Status';
import { isReachable, visitStart } from './probe';

type Progress = 'probing' | 'leaving' | 'unreachable';

/** Probes the gateway, then leaves for it; a dead gateway keeps the person here, with a way back. */
function Visit({ facility, back }: { facility: FacilitySummary; back: string }) {
  const [progress, setProgress] = useState<Progress>('probing');
  const [round, setRound] = useState(0);
  useEffect(() => {
    const stopped = new AbortController();
    setProgress('probing');
    void isReachable(facility.gateway, stopped.signal).then((reachable) => {
      if (stopped.signal.aborted) return;
      setProgress(reachable ? 'leaving' : 'unreachable');
      // Replaced, so that the browser's Back does not come here and leave again.
      if (reachable) location.replace(visitStart(facility.slug, back));
    });
    return () => stopped.abort();
  }, [facility.gateway, facility.slug, back, round]);

  if (progress === 'unreachable') {
    return (
      <Notice
        tone="bad"
        urgent
        title={<Trans>The sign-in of {facility.name} cannot be reached from your browser at the moment.</Trans>}
        actions={
          <>
            <Button className="btn primary" onPress={() => setRound(round + 1)}>
              <Trans>Try again</Trans>
            </Button>
            <a className="btn" href={back}>
              <Trans>Go back</Trans>
            </a>
          </>
        }
      >
        <Trans>Nothing was changed. Open data and the other facilities are not affected.</Trans>
      </Notice>
    );
  }
  return (
    <div className="card stack-tight" role="status">
      <Status tone="busy" strong>
        {progress === 'probing' ? (
          <Trans>Checking that {facility.name} can be reached …</Trans>
        ) : (
          <Trans>Taking you to {facility.name} …</Trans>
        )}
      </Status>
      <p className="muted">
        <Trans>
          {facility.name} asks who you are and whether the portal may search and start workspaces in your name. You come back here
          afterwards.
        </Trans>
      </p>
    </div>
  );
}

/** The page at which a visit to a facility's gateway begins. */
export function ConnectPage() {
  const { t } = useLingui();
  const { slug } = useParams({ from: '/connect/$slug' });
  const { return: back = `/facilities/${slug}` } = useSearch({ from: '/connect/$slug' });
  const { me, failed } = useSession();
  const { facilities, data, error, again } = useFacilities();
  const facility = facilities.find((each) => each.slug === slug);
  const unread = !data && (error || failed);
  if (data && !facility) return <Missing />;
  return (
    <div className="page narrow-page">
      <title>{t`Sign in at ${facility?.name ?? slug} – Parasol`}</title>
      <h1>{facility ? <Trans>Sign in at {facility.name}</Trans> : <Trans>Sign in at a facility</Trans>}</h1>
      {unread ? <ReadError title={<Trans>The facility could not be read just now.</Trans>} again={again} /> : null}
      {!unread && (!facility || me === undefined) ? <Skeleton lines={2} /> : null}
      {facility && me === null ? (
        <SignInNotice title={<Trans>Sign in to the portal first.</Trans>} back={connectPath(slug, back)}>
          <Trans>Then {facility.name} can tell whose account it is about.</Trans>
        </SignInNotice>
      ) : null}
      {facility && me ? <Visit facility={facility} back={back} /> : null}
    </div>
  );
}
