import { Trans, useLingui } from '@lingui/react/macro';
import type { ReactNode } from 'react';
import { ConnectLink } from '../facilities/ConnectLink';
import { wordingOf, type ProblemData } from '../words/problems';
import { Notice } from './Notice';
import { SignInLinks } from './SignInNotice';

interface ProblemNoticeProps {
  problem: ProblemData;
  facility: { slug: string; name: string };
  /** Own path to return to when mending leads elsewhere. */
  back: string;
  urgent?: boolean;
  /** More to do, beside what mends it. */
  actions?: ReactNode;
}

/** A problem in the client's own words, with what mends it; the server's sentence where it tells more. */
export function ProblemNotice({ problem, facility, back, urgent, actions }: ProblemNoticeProps) {
  const { i18n } = useLingui();
  const wording = wordingOf(problem, facility.name);
  const mend = wording?.mend;
  const mending =
    mend === 'LINK' || mend === 'CONNECT' ? (
      <ConnectLink facility={facility} mend={mend} back={back} className="btn primary" />
    ) : mend === 'SIGN_IN' ? (
      <SignInLinks back={back} />
    ) : null;
  return (
    <Notice
      tone={wording?.tone ?? 'bad'}
      urgent={urgent}
      title={wording ? i18n._(wording.text) : problem.message}
      actions={
        mending || actions ? (
          <>
            {mending}
            {actions}
          </>
        ) : null
      }
    >
      {wording?.says && problem.message ? <p>{problem.message}</p> : null}
      <p className="stamp">
        <Trans>For support: {problem.code}</Trans>
      </p>
    </Notice>
  );
}
