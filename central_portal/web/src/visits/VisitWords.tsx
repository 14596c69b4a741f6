import { Trans, useLingui } from '@lingui/react/macro';
import { useEffect } from 'react';
import { Button } from 'react-aria-components';
import { ConnectLink } from '../facilities/ConnectLink';
import { useFacilities } from '../facilities/useFacilities';
import { announce } from '../ui/announce';
import { Notice } from '../ui/Notice';
import { VISITS } from '../words/outcomes';
import type { Visit } from './outcome';

/** What a visit came to, with what mends it. */
export function VisitWords({ visit, dismiss }: { visit: Visit; dismiss: () => void }) {
  const { i18n } = useLingui();
  const { facilities } = useFacilities();
  const facility = facilities.find((each) => each.slug === visit.slug);
  const name = facility?.name ?? visit.slug;
  const wording = VISITS[visit.outcome](name);
  const sentence = i18n._(wording.text);
  useEffect(() => announce(sentence), [sentence]);
  const mend = wording.mend === 'LINK' || wording.mend === 'CONNECT' ? wording.mend : null;
  const actions = (
    <>
      {mend ? <ConnectLink facility={{ slug: visit.slug, name }} mend={mend} className="btn primary" /> : null}
      <Button className="btn" onPress={dismiss}>
        <Trans>Close this message</Trans>
      </Button>
    </>
  );
  return (
    <div className="page visit">
      <Notice tone={wording.tone} title={sentence} actions={actions} />
    </div>
  );
}
