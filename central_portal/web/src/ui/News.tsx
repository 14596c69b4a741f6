import { Trans } from '@lingui/react/macro';
import { useEffect, type ReactNode } from 'react';
import { announce } from './announce';
import type { Tone } from './Icon';
import { Status } from './Status';

interface NewsProps {
  tone: Tone;
  /** The whole sentence, plain: what looks like markup in it is a facility's or a person's text. */
  said: string;
  /** What it is news of, for who cannot see that. */
  label: string;
  /** Leads to what it is about; gets the press that dismisses. */
  children: ReactNode;
  dismiss: () => void;
}

/** Something that a person waited for, told on every page until it is dismissed. */
export function News({ tone, said, label, children, dismiss }: NewsProps) {
  useEffect(() => announce(said), [said]);
  return (
    <div className="strip" role="group" aria-label={label}>
      <Status tone={tone}>{said}</Status>
      {children}
      <button type="button" className="btn small" onClick={dismiss}>
        <Trans>Dismiss</Trans>
      </button>
    </div>
  );
}
