import { Trans, useLingui } from '@lingui/react/macro';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect } from 'react';
import { doc } from '../api/doc';
import { useRead } from '../api/read';
import { useSession } from '../api/session';
import { formatAddress } from '../lib/address';
import { Notice } from '../ui/Notice';
import { ReadError } from '../ui/ReadError';
import { SignInLinks } from '../ui/SignInNotice';
import { Skeleton } from '../ui/Skeleton';
import { problemOf } from '../words/problems';
import { FindDataset } from './queries';

const FindDocument = doc(FindDataset);

function Unknown({ named, signIn }: { named: string; signIn: string | null }) {
  return (
    <Notice
      tone="info"
      title={<Trans>No facility shows you a dataset with this identifier.</Trans>}
      actions={
        <>
          {signIn ? <SignInLinks back={signIn} /> : null}
          <Link className="btn" to="/search">
            <Trans>Find data</Trans>
          </Link>
        </>
      }
    >
      <p>
        <code>{named}</code>
      </p>
      {signIn ? (
        <p>
          <Trans>If it is your own, sign in first.</Trans>
        </p>
      ) : (
        <p>
          <Trans>It is asked for among open data, and at the facilities where you are connected.</Trans>
        </p>
      )}
    </Notice>
  );
}

/** A link of a facility's own data portal, by identifier or DOI: it leads to a page, and starts nothing. */
export function OpenPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const asked = useSearch({ from: '/open' });
  const { me } = useSession();
  const named = asked.pid ?? asked.doi ?? '';
  const variables = { pid: asked.pid ?? null, doi: asked.doi ?? null, facility: asked.facility ? `Facility:${asked.facility}` : null };
  const { data, error, again } = useRead(FindDocument, variables, !named);
  const found = data?.findDataset;
  const id = found?.id;
  const slug = found?.facility.slug;
  useEffect(() => {
    if (!id || !slug) return;
    // Replaced, so that Back leads to where the link was.
    if (asked.to === 'launch') void navigate({ to: '/launch', search: { facility: slug, dataset: id }, replace: true });
    else void navigate({ to: '/datasets/$id', params: { id }, replace: true });
  }, [id, slug, asked.to, navigate]);
  const problem = problemOf(error);
  const isUnknown = !named || problem?.code === 'NOT_FOUND';
  const isAmbiguous = problem?.code === 'INVALID_REQUEST';
  return (
    <div className="page narrow-page">
      <title>{t`Open a dataset – Parasol`}</title>
      <h1>
        <Trans>Open a dataset</Trans>
      </h1>
      {isUnknown ? <Unknown named={named} signIn={me === null ? `/open${formatAddress({ ...asked })}` : null} /> : null}
      {isAmbiguous ? <Notice tone="warn" title={problem.message} /> : null}
      {error && !isUnknown && !isAmbiguous ? (
        <ReadError title={<Trans>It could not be read whether a facility has this dataset.</Trans>} again={again} />
      ) : null}
      {named && !error ? <Skeleton lines={4} /> : null}
    </div>
  );
}
