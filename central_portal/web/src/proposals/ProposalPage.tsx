import { Trans, useLingui } from '@lingui/react/macro';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useMemo, type ReactNode } from 'react';
import { doc } from '../api/doc';
import { useRead } from '../api/read';
import { formatLocale } from '../i18n';
import { listed } from '../lib/format';
import { Completeness } from '../search/Completeness';
import { Results } from '../search/Results';
import { Summary } from '../search/Summary';
import { useFederatedSearch } from '../search/useFederatedSearch';
import { Missing } from '../shell/fallbacks';
import { OutboundLink } from '../ui/OutboundLink';
import { ReadError } from '../ui/ReadError';
import { Skeleton } from '../ui/Skeleton';
import { Instant } from '../ui/Time';
import { problemOf, wordingOf } from '../words/problems';
import { Dates } from './ProposalItem';
import { ProposalById, type WholeProposal } from './queries';

const ProposalDocument = doc(ProposalById);

function Facts({ proposal }: { proposal: WholeProposal }) {
  const { t } = useLingui();
  const members = proposal.members.map(({ name, role, affiliation }) => [name, role, affiliation].filter(Boolean).join(', '));
  const facts: [string, ReactNode][] = [
    [t`Facility`, <Link key="facility" to="/facilities/$slug" params={{ slug: proposal.facility.slug }}>{proposal.facility.name}</Link>],
    [t`Identifier`, <code key="pid">{proposal.pid}</code>],
    [t`Dates`, <Dates key="dates" proposal={proposal} />],
    [t`Instruments`, listed(proposal.instruments, formatLocale)],
    [t`Kind`, proposal.kind],
    [t`Keywords`, proposal.keywords.join(', ')],
    [t`People`, members.join('; ')],
    [t`DOI`, proposal.doi ? <OutboundLink key="doi" href={`https://doi.org/${encodeURI(proposal.doi)}`}>{proposal.doi}</OutboundLink> : null],
    [t`Licence`, proposal.licence],
    [t`Open since`, proposal.releasedAt ? <Instant key="open" iso={proposal.releasedAt} /> : null],
  ];
  return (
    <dl className="facts card">
      {facts
        .filter(([, value]) => value)
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

/** The datasets of a proposal: a search at its facility that is narrowed to it. */
export function ProposalData({ proposal }: { proposal: Pick<WholeProposal, 'pid' | 'facility'> }) {
  const navigate = useNavigate();
  const { pid, facility } = proposal;
  const input = useMemo(() => ({ text: '', proposals: [pid], facilities: [facility.id] }), [pid, facility.id]);
  const search = useFederatedSearch(input);
  const { progress } = search;
  return (
    <section aria-labelledby="proposal-data" aria-busy={!progress.done && !search.error} className="stack">
      <div className="head-row">
        <h2 id="proposal-data">
          <Trans>Data</Trans>
        </h2>
        <Link className="link" to="/search" search={{ facility: [facility.slug], proposal: [pid] }}>
          <Trans>Search in these</Trans>
        </Link>
      </div>
      <Summary progress={progress} reveal={search.reveal} />
      <Completeness outcomes={progress.outcomes} done={progress.done} asking={search.asking} askAgain={search.askAgain} />
      <Results
        search={search} filtered={false}
        analyse={(dataset) => void navigate({ to: '/launch', search: { facility: dataset.facility.slug, dataset: dataset.id } })}
      />
    </section>
  );
}

/** One proposal, as its facility describes it, and its datasets. */
export function ProposalPage() {
  const { t, i18n } = useLingui();
  const { id } = useParams({ from: '/proposals/$id' });
  const { data, error, pending, again } = useRead(ProposalDocument, { id });
  const proposal = data?.proposal;
  const problem = problemOf(error);
  const wording = problem && wordingOf(problem, t`The facility`);
  if (data && !proposal && !error) return <Missing />;
  const name = proposal?.title || proposal?.pid || t`Proposal`;
  return (
    <div className="page">
      <title>{t`${name} – Parasol`}</title>
      {error && !proposal ? (
        <ReadError title={wording ? i18n._(wording.text) : <Trans>This proposal could not be read just now.</Trans>} again={again} />
      ) : null}
      {pending ? <Skeleton lines={9} /> : null}
      {proposal ? (
        <>
          <div className="page-head">
            <p className="crumb">
              <Link to="/proposals">
                <Trans>Your proposals</Trans>
              </Link>
            </p>
            <h1>{name}</h1>
            <p className="tags">
              {proposal.isOpen ? (
                <span className="tag tag-open">
                  <Trans>Open data</Trans>
                </span>
              ) : null}
            </p>
            {proposal.summary ? <p>{proposal.summary}</p> : null}
          </div>
          <Facts proposal={proposal} />
          <ProposalData proposal={proposal} />
        </>
      ) : null}
    </div>
  );
}
