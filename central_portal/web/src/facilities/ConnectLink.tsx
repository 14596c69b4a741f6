import { Trans } from '@lingui/react/macro';
import { Link, useLocation } from '@tanstack/react-router';

interface ConnectLinkProps {
  facility: { slug: string; name: string };
  mend: 'LINK' | 'CONNECT';
  /** Own path to come back to; the present page if left out. */
  back?: string;
  className?: string;
  /** Name the facility only to who cannot see what the button stands beside. */
  quietName?: boolean;
}

/** The visit to a facility's gateway that links the account or renews the grant. */
export function ConnectLink({ facility, mend, back, className = 'btn', quietName }: ConnectLinkProps) {
  const { href } = useLocation();
  const name = facility.name;
  return (
    <Link className={className} to="/connect/$slug" params={{ slug: facility.slug }} search={{ return: back ?? href }} preload={false}>
      {quietName ? (
        <>
          {mend === 'LINK' ? <Trans>Link account</Trans> : <Trans>Sign in there</Trans>}
          <span className="sr-only">
            {' '}
            <Trans>at {name}</Trans>
          </span>
        </>
      ) : mend === 'LINK' ? (
        <Trans>Link your account at {name}</Trans>
      ) : (
        <Trans>Sign in at {name}</Trans>
      )}
    </Link>
  );
}
