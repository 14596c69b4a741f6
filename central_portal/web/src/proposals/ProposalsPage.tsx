import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect } from 'react';
import { Button } from 'react-aria-components';
import { useSession } from '../api/session';
import { Completeness } from '../search/Completeness';
import { completeness } from '../search/progress';
import { SearchBox } from '../search/SearchBox';
import { announce } from '../ui/announce';
import { Notice } from '../ui/Notice';
import { ReadError } from '../ui/ReadError';
import { SignInNotice } from '../ui/SignInNotice';
import { Skeleton } from '../ui/Skeleton';
import { PROPOSAL_OUTCOMES } from '../words/outcomes';
import { ProposalItem } from './ProposalItem';
import { useProposals, type ProposalList } from './useProposals';

function None({ list, text }: { list: ProposalList; text: string }) {
  const { part, missing } = completeness(list.outcomes);
  return (
    <Notice
      tone="info"
      title={text ? <Trans>No proposal matches.</Trans> : <Trans>No facility knows a proposal of yours.</Trans>}
      actions={
        text ? (
          <Link className="btn" to="/proposals">
            <Trans>Show all proposals</Trans>
          </Link>
        ) : null
      }
    >
      {part + missing > 0 ? <Trans>Some facilities are missing or incomplete, so there may be more.</Trans> : null}
    </Notice>
  );
}

/** Says once, when the facilities have answered, how many there are. */
function useAnnounced(list: ProposalList) {
  const { t } = useLingui();
  const { busy, pending } = list;
  useEffect(() => {
    if (busy || pending) return;
    const number = list.proposals.length;
    announce(t`${number} proposals shown.`);
  }, [busy, pending]);
}

/** The list itself; for a person who is signed in. */
export function ProposalsList({ text }: { text: string }) {
  const list = useProposals(text);
  useAnnounced(list);
  const number = list.proposals.length;
  const asking = list.busy && !list.pending ? new Set(list.outcomes.map((outcome) => outcome.facility.id)) : new Set<string>();
  return (
    <section aria-busy={list.busy} className="stack">
      {list.pending ? <Skeleton lines={6} /> : null}
      {list.error ? (
        <ReadError title={<Trans>Your proposals could not be read just now.</Trans>} again={list.again}>
          <Trans>Facilities and your workspaces are not affected.</Trans>
        </ReadError>
      ) : null}
      {number > 0 ? (
        <p>
          <strong>
            {list.cursor ? (
              <Plural value={number} one="The newest # proposal" other="The newest # proposals" />
            ) : (
              <Plural value={number} one="# proposal" other="# proposals" />
            )}
          </strong>
        </p>
      ) : null}
      <Completeness outcomes={list.outcomes} done={!list.busy} asking={asking} askAgain={list.again} words={PROPOSAL_OUTCOMES} />
      {number === 0 && !list.pending && !list.error ? <None list={list} text={text} /> : null}
      {number > 0 ? (
        <ol className="results">
          {list.proposals.map((proposal) => (
            <ProposalItem key={proposal.id} proposal={proposal} />
          ))}
        </ol>
      ) : null}
      {list.cursor ? (
        <Button className="btn more" onPress={list.more} isPending={list.busy}>
          {list.busy ? <Trans>Loading more proposals …</Trans> : <Trans>Load more proposals</Trans>}
        </Button>
      ) : null}
    </section>
  );
}

/** One's own proposals at all facilities. */
export function ProposalsPage() {
  const { t } = useLingui();
  const { me } = useSession();
  const { q = '' } = useSearch({ from: '/proposals' });
  const navigate = useNavigate({ from: '/proposals' });
  return (
    <div className="page">
      <title>{t`Your proposals – Parasol`}</title>
      <div className="page-head">
        <p className="crumb">
          <Link to="/search">
            <Trans>Data</Trans>
          </Link>
        </p>
        <h1>
          <Trans>Your proposals</Trans>
        </h1>
        {me ? (
          <SearchBox
            text={q} label={<Trans>Search your proposals at all facilities</Trans>} hint={t`Identifier, title or summary …`}
            onChange={(text) => void navigate({ search: text ? { q: text } : {}, replace: true, resetScroll: false })}
          />
        ) : null}
      </div>
      {me === undefined ? <Skeleton lines={6} /> : null}
      {me === null ? (
        <SignInNotice title={<Trans>Sign in to see your proposals.</Trans>}>
          <Trans>Each facility tells only you which are yours; the portal keeps no list.</Trans>
        </SignInNotice>
      ) : null}
      {me ? <ProposalsList text={q} /> : null}
    </div>
  );
}
