import type { ReactNode } from 'react';
import { Icon, type Tone } from './Icon';

/** A word with its icon. */
export function Status({ tone, strong, children }: { tone: Tone; strong?: boolean; children: ReactNode }) {
  return (
    <span className={`status tone-${tone}${strong ? ' strong' : ''}`}>
      <Icon tone={tone} />
      <span>{children}</span>
    </span>
  );
}
