import { Plural, Trans } from '@lingui/react/macro';
import { Button } from 'react-aria-components';
import { completeness, waiting, type Progress } from './progress';

function Sources({ progress }: { progress: Progress }) {
  const { complete, part, missing } = completeness(progress.outcomes);
  const all = progress.outcomes.length;
  if (!progress.done) {
    return <Plural value={all} one="# facility has answered so far …" other="# facilities have answered so far …" />;
  }
  if (part + missing === 0) {
    return <Plural value={all} one="from # facility" _2="from both facilities" other="from all # facilities" />;
  }
  return (
    <>
      <Trans>
        {complete} of {all} facilities complete
      </Trans>
      {part > 0 ? <Trans>, {part} in part</Trans> : null}
      {missing > 0 ? <Trans>, {missing} missing</Trans> : null}
    </>
  );
}

/** How much is shown and from how many facilities; never a bare total when something is missing. */
export function Summary({ progress, reveal, best = false }: { progress: Progress; reveal: () => void; best?: boolean }) {
  const late = waiting(progress);
  const number = progress.shown.length;
  return (
    <div className="summary">
      <p>
        {progress.answered ? (
          <>
            <strong>
              {progress.cursor && best ? (
                <Plural value={number} one="The best match" other="The # best matches" />
              ) : progress.cursor ? (
                <Plural value={number} one="The newest # dataset" other="The newest # datasets" />
              ) : (
                <Plural value={number} one="# dataset" other="# datasets" />
              )}
            </strong>{' '}
            <span className="muted">
              <Sources progress={progress} />
            </span>
          </>
        ) : (
          <strong>
            <Trans>Searching …</Trans>
          </strong>
        )}
      </p>
      {late > 0 ? (
        <Button className="btn" onPress={reveal}>
          <Plural value={late} one="Show # more dataset that arrived" other="Show # more datasets that arrived" />
        </Button>
      ) : null}
    </div>
  );
}
