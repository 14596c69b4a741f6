import { Trans, useLingui } from '@lingui/react/macro';
import { useRef, useState, type FormEvent } from 'react';
import { Button } from 'react-aria-components';
import { useSession } from '../api/session';
import type { FacilityFull } from '../facilities/queries';
import { formatAddress } from '../lib/address';
import { useNow } from '../lib/now';
import { announce } from '../ui/announce';
import { blockerOf } from './blocker';
import { linkOf, LONGEST_TITLE, offerOf, settled, type Choice } from './choice';
import { EnvironmentField, LifetimeField, SizeField } from './fields';
import { BlockedNotice, LaunchOutcome, Mending } from './LaunchOutcome';
import { rememberEnvironment } from './memory';
import { ProposalsField } from './ProposalsField';
import { useLaunch } from './useLaunch';

interface LaunchFormProps {
  facility: FacilityFull;
  dataset?: string;
  first: Choice;
  onStarted: () => void;
  onCancel?: () => void;
}

/** What to start, how large, until when, with which proposals. Starting always needs a press. */
export function LaunchForm({ facility, dataset, first, onStarted, onCancel }: LaunchFormProps) {
  const { t } = useLingui();
  const now = useNow();
  const { me } = useSession();
  const [wanted, setWanted] = useState(first);
  const end = useRef<HTMLDivElement>(null);
  const launching = useLaunch();
  const offer = offerOf(facility, wanted);
  if (!offer) return null;
  const choice = settled(wanted, offer);
  const change = (changes: Partial<Choice>) => setWanted({ ...choice, ...changes });
  const blocker = me === undefined ? null : blockerOf(me !== null, facility, now);
  const back = `/launch${formatAddress({ ...linkOf(facility, choice, dataset) })}`;

  async function submit(event: FormEvent) {
    event.preventDefault();
    if (!offer || blocker) return;
    const title = choice.title.trim() || offer.environment.title;
    const taken = await launching.start({
      environment: offer.environment.id,
      flavour: offer.flavour.id,
      proposals: choice.proposals,
      title,
      lifetimeSeconds: choice.lifetime,
      ...(dataset ? { dataset } : {}),
    });
    if (taken) {
      rememberEnvironment(facility.slug, offer.environment.slug);
      announce(t`${title} was requested at ${facility.name}.`);
      onStarted();
    } else {
      end.current?.scrollIntoView({ block: 'nearest' });
    }
  }

  return (
    <form className="launch-form" onSubmit={(event) => void submit(event)}>
      <EnvironmentField facility={facility} offer={offer} onChange={(environment) => change({ environment, flavour: '' })} />
      <SizeField offer={offer} onChange={(flavour) => change({ flavour })} />
      <LifetimeField offer={offer} lifetime={choice.lifetime} onChange={(lifetime) => change({ lifetime })} />
      <ProposalsField proposals={choice.proposals} known={facility.openProposals} onChange={(proposals) => change({ proposals })} />
      <label className="field">
        <span className="field-label">
          <Trans>Title</Trans>
        </span>
        <input
          type="text"
          value={wanted.title}
          maxLength={LONGEST_TITLE}
          placeholder={offer.environment.title}
          onChange={(event) => change({ title: event.target.value })}
        />
      </label>
      <div ref={end} className="stack-tight">
        {blocker ? <BlockedNotice blocker={blocker} facility={facility} /> : null}
        <LaunchOutcome result={launching.result} facility={facility} back={back} />
      </div>
      <div className="dialog-actions">
        {onCancel ? (
          <Button className="btn" onPress={onCancel}>
            <Trans>Cancel</Trans>
          </Button>
        ) : null}
        {blocker === 'SIGN_IN' || blocker === 'LINK' || blocker === 'CONNECT' ? (
          <Mending blocker={blocker} facility={facility} back={back} />
        ) : (
          <Button className="btn primary" type="submit" isPending={launching.busy} isDisabled={blocker === 'OFFLINE'}>
            {launching.busy ? <Trans>Starting …</Trans> : <Trans>Start {offer.environment.title}</Trans>}
          </Button>
        )}
      </div>
    </form>
  );
}
