import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button, Disclosure, DisclosurePanel } from 'react-aria-components';
import { ConnectLink } from '../facilities/ConnectLink';
import { Glyph } from '../ui/Icon';
import { Status } from '../ui/Status';
import { COMPLETENESS, OUTCOMES } from '../words/outcomes';
import type { FacilityOutcome } from './queries';
import type { FederatedSearch } from './useFederatedSearch';

function OutcomeLine({ outcome, search }: { outcome: FacilityOutcome; search: FederatedSearch }) {
  const { i18n } = useLingui();
  const { facility } = outcome;
  const wording = OUTCOMES[outcome.outcome](facility.name, outcome.count);
  const asking = search.asking.has(facility.id);
  return (
    <li>
      <Status tone={asking ? 'busy' : wording.tone}>{i18n._(wording.text)}</Status>
      {wording.mend === 'LINK' || wording.mend === 'CONNECT' ? (
        <ConnectLink facility={facility} mend={wording.mend} className="btn small" quietName />
      ) : null}
      {wording.mend === 'ASK_AGAIN' ? (
        <Button className="btn small" onPress={() => search.askAgain(facility.id)} isPending={asking}>
          {asking ? <Trans>Asking …</Trans> : <Trans>Ask again</Trans>}
          <span className="sr-only"> – {facility.name}</span>
        </Button>
      ) : null}
    </li>
  );
}

/** One line of fixed height that says what is incomplete, and opens to an outcome per facility. */
export function Completeness({ search }: { search: FederatedSearch }) {
  const { t } = useLingui();
  const { outcomes } = search.progress;
  const incomplete = outcomes.filter((outcome) => COMPLETENESS[outcome.outcome] !== 'complete');
  const bad = incomplete.some((outcome) => COMPLETENESS[outcome.outcome] === 'missing');
  const own = incomplete.every((outcome) => ['LINK', 'CONNECT'].includes(OUTCOMES[outcome.outcome]('', 0).mend));
  return (
    <div className="outcome-slot">
      {outcomes.length > 0 ? (
        <Disclosure className="outcomes">
          <Button slot="trigger" className="outcomes-head">
            {incomplete.length > 0 ? (
              <Status tone={bad ? 'warn' : 'info'}>
                {own ? (
                  <Plural
                    value={incomplete.length}
                    one="Your own data at # facility is not included yet: what to do"
                    other="Your own data at # facilities is not included yet: what to do"
                  />
                ) : (
                  <Plural
                    value={incomplete.length}
                    one="# facility is missing or incomplete: what to do"
                    other="# facilities are missing or incomplete: what to do"
                  />
                )}
              </Status>
            ) : (
              <Status tone="ok">
                {search.progress.done ? <Trans>Every facility answered in full</Trans> : <Trans>Answered in full so far</Trans>}
              </Status>
            )}
            <Glyph name="down" />
          </Button>
          <DisclosurePanel>
            <ul className="outcome-list" aria-label={t`How each facility answered`}>
              {outcomes.map((outcome) => (
                <OutcomeLine key={outcome.facility.id} outcome={outcome} search={search} />
              ))}
            </ul>
          </DisclosurePanel>
        </Disclosure>
      ) : null}
    </div>
  );
}
