import { Trans, useLingui } from '@lingui/react/macro';
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { Button } from 'react-aria-components';
import { useSession } from '../api/session';
import type { EnvironmentFull, FacilityFull } from '../facilities/queries';
import { formatAddress } from '../lib/address';
import { announce } from '../ui/announce';
import { blockerOf } from './blocker';
import { lacksProposal, linkOf, LONGEST_TITLE, offerOf, settled, type Choice } from './choice';
import { EnvironmentField, LifetimeField, SizeField } from './fields';
import { BlockedNotice, LaunchOutcome, Mending, WaitingNotice } from './LaunchOutcome';
import { rememberEnvironment } from './memory';
import { ProposalsField } from './ProposalsField';
import { useLaunch } from './useLaunch';

function TitleField({ title, fallback, onChange }: { title: string; fallback: string; onChange: (title: string) => void }) {
  return (
    <label className="field">
      <span className="field-label">
        <Trans>Title</Trans>
      </span>
      <input
        type="text"
        value={title}
        maxLength={LONGEST_TITLE}
        placeholder={fallback}
        onChange={(event) => onChange(event.target.value)}
      />
    </label>
  );
}

function StartButton({ environment, busy, isDisabled }: { environment: EnvironmentFull; busy: boolean; isDisabled: boolean }) {
  const start = environment.usedAs === 'TASK' ? <Trans>Start task</Trans> : <Trans>Start {environment.title}</Trans>;
  return (
    <Button className="btn primary" type="submit" isPending={busy} isDisabled={isDisabled}>
      {busy ? <Trans>Starting …</Trans> : start}
    </Button>
  );
}

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
  const { me } = useSession();
  const [wanted, setWanted] = useState(first);
  const end = useRef<HTMLDivElement>(null);
  const launching = useLaunch();
  const { result } = launching;
  // What came of a press must not lie below the fold, or behind the buttons.
  useEffect(() => {
    if (result.kind !== 'none') end.current?.scrollIntoView({ block: 'end' });
  }, [result]);
  const offer = offerOf(facility, wanted);
  if (!offer) return null;
  const choice = settled(wanted, offer);
  const change = (changes: Partial<Choice>) => setWanted({ ...choice, ...changes });
  const unread = me === undefined;
  // While it is not known who is signed in, only what holds for everybody is said.
  const found = blockerOf(!!me, facility);
  const blocker = unread && found !== 'OFFLINE' ? null : found;
  const lacking = lacksProposal(choice, offer);
  const back = `/launch${formatAddress({ ...linkOf(facility, choice, dataset) })}`;

  async function submit(event: FormEvent) {
    event.preventDefault();
    if (!offer || blocker || unread || lacking) return;
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
    }
  }

  return (
    <form className="launch-form" onSubmit={(event) => void submit(event)}>
      {blocker ? <BlockedNotice blocker={blocker} facility={facility} /> : null}
      {!blocker && !unread && facility.state === 'OFFLINE' ? <WaitingNotice facility={facility} /> : null}
      <EnvironmentField facility={facility} offer={offer} onChange={(environment) => change({ environment, flavour: '' })} />
      <SizeField offer={offer} onChange={(flavour) => change({ flavour })} />
      <LifetimeField offer={offer} lifetime={choice.lifetime} onChange={(lifetime) => change({ lifetime })} />
      <ProposalsField
        proposals={choice.proposals}
        known={facility.openProposals}
        isTask={offer.environment.usedAs === 'TASK'}
        onChange={(proposals) => change({ proposals })}
      />
      <TitleField title={wanted.title} fallback={offer.environment.title} onChange={(title) => change({ title })} />
      <div ref={end} className="stack-tight">
        <LaunchOutcome result={result} facility={facility} back={back} />
      </div>
      <div className="dialog-actions">
        {onCancel ? (
          <Button className="btn" onPress={onCancel}>
            <Trans>Cancel</Trans>
          </Button>
        ) : null}
        {blocker && blocker !== 'OFFLINE' ? (
          <Mending blocker={blocker} facility={facility} back={back} />
        ) : (
          <StartButton environment={offer.environment} busy={launching.busy} isDisabled={unread || lacking || blocker === 'OFFLINE'} />
        )}
      </div>
    </form>
  );
}
