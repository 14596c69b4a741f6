import { Trans, useLingui } from '@lingui/react/macro';
import { useId, useState } from 'react';
import { Button } from 'react-aria-components';
import { announce } from '../ui/announce';
import { Glyph } from '../ui/Icon';
import { Status } from '../ui/Status';
import { MOST_PROPOSALS, withProposals } from './choice';

interface ProposalsFieldProps {
  proposals: string[];
  /** Offered while typing. */
  known: readonly string[];
  /** A task's results go to the first of them, so it needs one. */
  isTask: boolean;
  onChange: (proposals: string[]) => void;
}

function NoProposal({ isTask }: { isTask: boolean }) {
  return isTask ? (
    <Status tone="warn">
      <Trans>A task needs a proposal: its results go there.</Trans>
    </Status>
  ) : (
    <p className="muted">
      <Trans>None: the workspace starts without data.</Trans>
    </p>
  );
}

/** Which proposals are mounted, read-only. */
export function ProposalsField({ proposals, known, isTask, onChange }: ProposalsFieldProps) {
  const { t } = useLingui();
  const [typed, setTyped] = useState('');
  const id = useId();
  const add = () => {
    onChange(withProposals(proposals, typed.split(/[\s,;]+/)));
    setTyped('');
  };
  const [first] = proposals;
  const full = proposals.length >= MOST_PROPOSALS;
  return (
    <fieldset className="field">
      <legend className="field-label">
        <Trans>Proposals mounted</Trans>
      </legend>
      {proposals.length ? (
        <ul className="tags">
          {proposals.map((proposal) => (
            <li key={proposal} className="tag removable">
              {proposal}
              <Button
                aria-label={t`Remove ${proposal}`}
                onPress={() => {
                  onChange(proposals.filter((each) => each !== proposal));
                  announce(t`${proposal} is not mounted.`);
                }}
              >
                <Glyph name="close" />
              </Button>
            </li>
          ))}
        </ul>
      ) : (
        <NoProposal isTask={isTask} />
      )}
      {full ? null : (
        <div className="row">
          <input
            type="text"
            className="grow"
            aria-label={proposals.length ? t`Another proposal` : t`A proposal`}
            placeholder={proposals.length ? t`Another proposal` : t`A proposal`}
            value={typed}
            maxLength={200}
            list={id}
            onChange={(event) => setTyped(event.target.value)}
            onKeyDown={(event) => {
              // Enter adds; it must not start the workspace.
              if (event.key !== 'Enter') return;
              event.preventDefault();
              add();
            }}
          />
          <datalist id={id}>
            {known.filter((each) => !proposals.includes(each)).map((each) => (
              <option key={each} value={each} />
            ))}
          </datalist>
          <Button className="btn" onPress={add} isDisabled={!typed.trim()}>
            <Trans>Add</Trans>
          </Button>
        </div>
      )}
      <p className="muted">
        {!isTask ? (
          <Trans>You can read them in the workspace; the facility checks that you may.</Trans>
        ) : first ? (
          <Trans>The task can read them; its results go to {first}. The facility checks that you may.</Trans>
        ) : null}
      </p>
    </fieldset>
  );
}
