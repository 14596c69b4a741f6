import type { ReactNode } from 'react';
import { Icon, type Tone } from './Icon';

interface NoticeProps {
  tone: Tone;
  title: ReactNode;
  children?: ReactNode;
  actions?: ReactNode;
  /** Read out when it appears: for what a person's own press led to. */
  urgent?: boolean;
}

/** What happened, what it means, and what to do. */
export function Notice({ tone, title, children, actions, urgent }: NoticeProps) {
  return (
    <div className={`notice tone-${tone}`} role={urgent ? 'alert' : undefined}>
      <Icon tone={tone} />
      <div className="notice-text">
        <p className="notice-title">{title}</p>
        {children ? <div className="notice-body">{children}</div> : null}
        {actions ? <div className="row">{actions}</div> : null}
      </div>
    </div>
  );
}
