import { Trans } from '@lingui/react/macro';
import type { ReactNode } from 'react';
import { outboundLink } from '../lib/paths';
import { Glyph } from './Icon';

interface OutboundLinkProps {
  href: string | null | undefined;
  className?: string;
  children: ReactNode;
}

/** A link that leaves the portal, in a new tab; plain text when the address is not fit to be followed. */
export function OutboundLink({ href, className, children }: OutboundLinkProps) {
  const safe = outboundLink(href);
  if (!safe) return <span>{children}</span>;
  return (
    <a className={className ?? 'outbound'} href={safe} target="_blank" rel="noopener noreferrer">
      {children}
      <Glyph name="away" />
      <span className="sr-only">
        {' '}
        <Trans>(opens in a new tab)</Trans>
      </span>
    </a>
  );
}
