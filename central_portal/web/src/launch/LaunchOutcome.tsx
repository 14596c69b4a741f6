import { Trans, useLingui } from '@lingui/react/macro';
import { Link } from '@tanstack/react-router';
import { ConnectLink } from '../facilities/ConnectLink';
import { Notice } from '../ui/Notice';
import { ProblemNotice } from '../ui/ProblemNotice';
import { SignInLinks } from '../ui/SignInNotice';
import type { Blocker } from './blocker';
import type { LaunchResult } from './useLaunch';

interface Place {
  slug: string;
  name: string;
}

/** What is known to be in the way before anything was pressed. */
export function BlockedNotice({ blocker, facility }: { blocker: Blocker; facility: Place }) {
  const name = facility.name;
  switch (blocker) {
    case 'SIGN_IN':
      return <Notice tone="info" title={<Trans>Sign in to start it. You come back to this form.</Trans>} />;
    case 'OFFLINE':
      return (
        <Notice tone="bad" title={<Trans>{name} is not connected at the moment.</Trans>}>
          <Trans>Nothing can be started there until it is back.</Trans>
        </Notice>
      );
    case 'LINK':
      return <Notice tone="info" title={<Trans>You have no linked account at {name} yet. Linking it brings you back to this form.</Trans>} />;
    case 'CONNECT':
      return <Notice tone="info" title={<Trans>{name} asks you to sign in there first. You come back to this form.</Trans>} />;
  }
}

/** The facility is away, but the portal may ask in this person's name: what they start waits. */
export function WaitingNotice({ facility }: { facility: Place }) {
  const name = facility.name;
  return (
    <Notice tone="unknown" title={<Trans>{name} is not connected at the moment.</Trans>}>
      <Trans>What you start waits for it, at most ten minutes.</Trans>
    </Notice>
  );
}

/** The button in place of Start while something is in the way that the person can mend. */
export function Mending({ blocker, facility, back }: { blocker: 'SIGN_IN' | 'LINK' | 'CONNECT'; facility: Place; back: string }) {
  if (blocker === 'SIGN_IN') return <SignInLinks back={back} />;
  return <ConnectLink facility={facility} mend={blocker} back={back} className="btn primary" />;
}

/** What came of the last press, inside the form, with what to do. */
export function LaunchOutcome({ result, facility, back }: { result: LaunchResult; facility: Place; back: string }) {
  const { t } = useLingui();
  if (result.kind === 'none') return null;
  if (result.kind === 'unknown') {
    return (
      <Notice
        tone="warn"
        urgent
        title={t`The portal did not answer, so it is not known whether this has started.`}
        actions={
          <Link className="btn" to="/workspaces">
            <Trans>Show my workspaces</Trans>
          </Link>
        }
      >
        <Trans>You can press Start again: it cannot start twice.</Trans>
      </Notice>
    );
  }
  return <ProblemNotice problem={result.problem} facility={facility} back={back} urgent />;
}
