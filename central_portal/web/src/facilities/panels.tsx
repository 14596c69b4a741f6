import { Trans } from '@lingui/react/macro';
import { formatLocale } from '../i18n';
import { duration } from '../lib/format';
import { useNow } from '../lib/now';
import { OutboundLink } from '../ui/OutboundLink';
import { Status } from '../ui/Status';
import { Instant } from '../ui/Time';
import { ConnectLink } from './ConnectLink';
import { AccountLinkState } from './FacilityState';
import { linkMend } from './links';
import type { FacilityFull } from './queries';

/** One's account link there, with the button that mends it; nothing for an anonymous reader. */
export function AccountPanel({ facility }: { facility: FacilityFull }) {
  const link = facility.accountLink;
  if (!link) return null;
  const mend = linkMend(facility);
  return (
    <section className="card stack-tight" aria-labelledby="your-account">
      <div className="card-head">
        <h2 id="your-account">
          <Trans>Your account</Trans>
        </h2>
        <AccountLinkState state={link.state} />
      </div>
      {link.grant && mend === 'NONE' ? (
        <p className="muted">
          <Trans>
            The portal may ask in your name until <Instant iso={link.grant.expiresAt} />.
          </Trans>
        </p>
      ) : (
        <p className="muted">
          {mend === 'LINK' ? (
            <Trans>Link your account there once to see your own data and start workspaces.</Trans>
          ) : (
            <Trans>Sign in there to include your own data and start workspaces.</Trans>
          )}
        </p>
      )}
      {mend === 'NONE' ? null : <ConnectLink facility={facility} mend={mend} className="btn primary" quietName />}
    </section>
  );
}

/** The facility's own pages. */
export function LinksPanel({ facility }: { facility: FacilityFull }) {
  const hasLinks = facility.website || facility.dataPortal || facility.services.length > 0 || facility.contact;
  if (!hasLinks) return null;
  return (
    <section className="card stack-tight" aria-labelledby="own-services">
      <h2 id="own-services">
        <Trans>Its own services</Trans>
      </h2>
      <ul className="links">
        {facility.website ? (
          <li>
            <OutboundLink href={facility.website}>
              <Trans>Website</Trans>
            </OutboundLink>
          </li>
        ) : null}
        {facility.dataPortal ? (
          <li>
            <OutboundLink href={facility.dataPortal}>
              <Trans>Data portal</Trans>
            </OutboundLink>
          </li>
        ) : null}
        {facility.services.map((service) => (
          <li key={service.id}>
            <OutboundLink href={service.url}>{service.title}</OutboundLink>
            {service.description ? <p className="muted">{service.description}</p> : null}
          </li>
        ))}
      </ul>
      {facility.contact ? (
        <p className="muted">
          <Trans>
            Contact: <OutboundLink href={facility.contact}>{facility.contact}</OutboundLink>
          </Trans>
        </p>
      ) : null}
    </section>
  );
}

/** What the facility's agent can do, and how old that word is. */
export function CapabilitiesPanel({ facility }: { facility: FacilityFull }) {
  const now = useNow();
  if (facility.capabilities.length === 0) return null;
  return (
    <section className="card stack-tight" aria-labelledby="capabilities">
      <h2 id="capabilities">
        <Trans>What it can do</Trans>
      </h2>
      <ul className="links">
        {facility.capabilities.map((capability) => {
          const age = Math.max(0, (now - Date.parse(capability.reportedAt)) / 1000);
          return (
            <li key={capability.id}>
              <strong>{capability.title}</strong>
              {capability.detail ? <p className="muted">{capability.detail}</p> : null}
              <p className="stamp">
                {capability.stale ? (
                  <Status tone="warn">
                    <Trans>May be out of date: reported {duration(age, formatLocale)} ago</Trans>
                  </Status>
                ) : (
                  <Trans>Reported {duration(age, formatLocale)} ago</Trans>
                )}
              </p>
            </li>
          );
        })}
      </ul>
      {facility.agentVersion ? (
        <p className="stamp">
          <Trans>Agent version {facility.agentVersion}</Trans>
        </p>
      ) : null}
    </section>
  );
}
