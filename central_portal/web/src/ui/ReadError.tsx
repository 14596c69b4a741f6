import { Trans } from '@lingui/react/macro';
import type { ReactNode } from 'react';
import { Button } from 'react-aria-components';
import { Notice } from './Notice';

/** Something could not be read: what, what is not affected, and a way to try again. */
export function ReadError({ title, again, children }: { title: ReactNode; again: () => void; children?: ReactNode }) {
  return (
    <Notice
      tone="bad"
      title={title}
      urgent
      actions={
        <Button className="btn" onPress={again}>
          <Trans>Try again</Trans>
        </Button>
      }
    >
      {children ?? <Trans>Your workspaces keep running; nothing was stopped.</Trans>}
    </Notice>
  );
}
