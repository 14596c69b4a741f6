import { Trans, useLingui } from '@lingui/react/macro';
import { useEffect, useId, useState, type FormEvent } from 'react';

const LONGEST = 200;

/** Words of the sample; asked when somebody presses Enter or leaves the field. */
export function SampleField({ sample, onChange }: { sample: string; onChange: (sample: string) => void }) {
  const { t } = useLingui();
  const id = useId();
  const [typed, setTyped] = useState(sample);
  useEffect(() => setTyped(sample), [sample]);
  const tell = (event?: FormEvent) => {
    event?.preventDefault();
    const wanted = typed.trim();
    setTyped(wanted);
    if (wanted !== sample) onChange(wanted);
  };
  return (
    <form className="filter-field" onSubmit={tell}>
      <label htmlFor={id}>
        <Trans>Sample</Trans>
      </label>
      <input
        id={id} type="search" value={typed} maxLength={LONGEST} enterKeyHint="search" placeholder={t`Words of the sample`}
        onChange={(event) => setTyped(event.target.value)} onBlur={() => tell()}
      />
    </form>
  );
}
