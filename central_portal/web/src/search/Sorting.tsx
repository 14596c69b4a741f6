import { Trans, useLingui } from '@lingui/react/macro';
import { useId, type ReactNode } from 'react';
import type { SearchAddress } from '../lib/address';
import { Glyph } from '../ui/Icon';

/** One of a few values; the first is meant when none is chosen. */
function Picker({ label, value, options, onChange }: {
  label: ReactNode;
  value: string | undefined;
  options: [value: string, text: string][];
  onChange: (value: never) => void;
}) {
  const id = useId();
  return (
    <div className="sorting">
      <label htmlFor={id}>{label}</label>
      <div className="select">
        <select id={id} value={value ?? ''} onChange={(event) => onChange((event.target.value || undefined) as never)}>
          {options.map(([each, text]) => (
            <option key={each} value={each}>
              {text}
            </option>
          ))}
        </select>
        <Glyph name="down" />
      </div>
    </div>
  );
}

/** How results are sorted; offered while there are words that something could match. */
export function Sorting({ sort, onChange }: { sort: SearchAddress['sort']; onChange: (sort: SearchAddress['sort']) => void }) {
  const { t } = useLingui();
  return (
    <Picker
      label={<Trans>Sort by</Trans>} value={sort} onChange={onChange}
      options={[['', t`Newest first`], ['relevance', t`Best match first`]]}
    />
  );
}

/** Whose data are shown; offered to those who have some. */
export function Showing({ show, onChange }: { show: SearchAddress['show']; onChange: (show: SearchAddress['show']) => void }) {
  const { t } = useLingui();
  return (
    <Picker
      label={<Trans>Show</Trans>} value={show} onChange={onChange}
      options={[['', t`Mine and open`], ['mine', t`Only mine`], ['open', t`Only open`]]}
    />
  );
}
