import { Trans } from '@lingui/react/macro';
import { Link } from '@tanstack/react-router';
import { formatLocale } from '../i18n';
import { day, listed } from '../lib/format';
import type { Proposal } from './queries';

/** When it was: one day, two, or not stated. */
export function Dates({ proposal: { startedAt, endedAt } }: { proposal: Pick<Proposal, 'startedAt' | 'endedAt'> }) {
  const days = [startedAt, endedAt].flatMap((iso) => (iso ? [{ iso, text: day(iso, formatLocale) }] : []));
  const [first, last] = days;
  if (!first) return <Trans>date not stated</Trans>;
  return (
    <>
      <time dateTime={first.iso}>{first.text}</time>
      {last && last.text !== first.text ? (
        <>
          {' – '}
          <time dateTime={last.iso}>{last.text}</time>
        </>
      ) : null}
    </>
  );
}

/** One proposal of the list. */
export function ProposalItem({ proposal }: { proposal: Proposal }) {
  const heading = `proposal-${proposal.id}`;
  return (
    <li>
      <article className="result" aria-labelledby={heading}>
        <div className="result-text">
          <h2 id={heading}>
            <Link to="/proposals/$id" params={{ id: proposal.id }}>
              {proposal.title || proposal.pid}
            </Link>
          </h2>
          <p className="muted">
            {proposal.facility.name}
            {proposal.instruments.length ? ` · ${listed(proposal.instruments, formatLocale)}` : null}
            {' · '}
            <Dates proposal={proposal} />
          </p>
          {proposal.isOpen || proposal.title ? (
            <p className="tags">
              {proposal.isOpen ? (
                <span className="tag tag-open">
                  <Trans>Open data</Trans>
                </span>
              ) : null}
              {proposal.title ? (
                <span className="tag">
                  <Trans>Proposal {proposal.pid}</Trans>
                </span>
              ) : null}
            </p>
          ) : null}
        </div>
        <Link className="btn" to="/search" search={{ facility: [proposal.facility.slug], proposal: [proposal.pid] }}>
          <Trans>Show its data</Trans>
          <span className="sr-only"> – {proposal.title || proposal.pid}</span>
        </Link>
      </article>
    </li>
  );
}
