import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button, Disclosure, DisclosurePanel } from 'react-aria-components';
import { ConnectLink } from '../facilities/ConnectLink';
import { formatLocale } from '../i18n';
import { duration } from '../lib/format';
import { Glyph } from '../ui/Icon';
import { Status } from '../ui/Status';
import { Ago } from '../ui/Time';
import { COMPLETENESS, OUTCOMES, partOfCopy } from '../words/outcomes';
import type { Wording } from '../words/wording';
import type { FacilityOutcome } from './queries';

interface CompletenessProps {
  outcomes: readonly FacilityOutcome[];
  /** Whether every facility has answered or timed out. */
  done: boolean;
  /** Facilities (ids) that are being asked again. */
  asking: ReadonlySet<string>;
  askAgain: (facility: string) => void;
  /** What an outcome is said as; a search's if left out. */
  words?: typeof OUTCOMES;
}

function wordingOf({ outcome, facility, count, ageSeconds }: FacilityOutcome, words: typeof OUTCOMES): Wording {
  const isCopy = outcome === 'PARTIAL' && typeof ageSeconds === 'number';
  return isCopy ? partOfCopy(facility.name, count) : words[outcome](facility.name, count);
}

/** Why it is so, and how old: the facility's own sentence, the age of the portal's copy, since when it is away. */
function Reason({ outcome: { outcome, ageSeconds, problem, facility } }: { outcome: FacilityOutcome }) {
  const said = ['PARTIAL', 'DENIED', 'FAILED'].includes(outcome) ? problem?.message : undefined;
  const age = typeof ageSeconds === 'number' ? duration(ageSeconds, formatLocale) : undefined;
  const since = outcome === 'OFFLINE' ? facility.stateSince : undefined;
  if (!said && !age && !since) return null;
  return (
    <p className="muted outcome-reason">
      {said ? <span>{said} </span> : null}
      {age ? (
        <span>
          <Trans>The portal’s copy was read {age} ago.</Trans>{' '}
        </span>
      ) : null}
      {since ? (
        <Trans>
          Last connected <Ago iso={since} />.
        </Trans>
      ) : null}
    </p>
  );
}

function OutcomeLine({ outcome, asking, askAgain, words }: {
  outcome: FacilityOutcome;
  asking: boolean;
  askAgain: (facility: string) => void;
  words: typeof OUTCOMES;
}) {
  const { i18n } = useLingui();
  const { facility } = outcome;
  const wording = wordingOf(outcome, words);
  return (
    <li>
      <Status tone={asking ? 'busy' : wording.tone}>{i18n._(wording.text)}</Status>
      <Reason outcome={outcome} />
      {wording.mend === 'LINK' || wording.mend === 'CONNECT' ? (
        <ConnectLink facility={facility} mend={wording.mend} className="btn small" quietName />
      ) : null}
      {wording.mend === 'ASK_AGAIN' ? (
        <Button className="btn small" onPress={() => askAgain(facility.id)} isPending={asking}>
          {asking ? <Trans>Asking …</Trans> : <Trans>Ask again</Trans>}
          <span className="sr-only"> – {facility.name}</span>
        </Button>
      ) : null}
    </li>
  );
}

/** One line of fixed height that says what is incomplete, and opens to an outcome per facility. */
export function Completeness({ outcomes, done, asking, askAgain, words = OUTCOMES }: CompletenessProps) {
  const { t } = useLingui();
  const incomplete = outcomes.filter((outcome) => COMPLETENESS[outcome.outcome] !== 'complete');
  const bad = incomplete.some((outcome) => COMPLETENESS[outcome.outcome] === 'missing');
  const own = incomplete.every((outcome) => ['LINK', 'CONNECT'].includes(wordingOf(outcome, words).mend));
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
              <Status tone="ok">{done ? <Trans>Every facility answered in full</Trans> : <Trans>Answered in full so far</Trans>}</Status>
            )}
            <Glyph name="down" />
          </Button>
          <DisclosurePanel>
            <ul className="outcome-list" aria-label={t`How each facility answered`}>
              {outcomes.map((outcome) => (
                <OutcomeLine
                  key={outcome.facility.id} outcome={outcome} asking={asking.has(outcome.facility.id)} askAgain={askAgain} words={words}
                />
              ))}
            </ul>
          </DisclosurePanel>
        </Disclosure>
      ) : null}
    </div>
  );
}
