import { Trans, useLingui } from '@lingui/react/macro';
import { useId } from 'react';
import type { SearchAddress } from '../lib/address';
import { Glyph } from '../ui/Icon';

/** How results are sorted; offered while there are words that something could match. */
export function Sorting({ sort, onChange }: { sort: SearchAddress['sort']; onChange: (sort: SearchAddress['sort']) => void }) {
  const { t } = useLingui();
  const id = useId();
  return (
    <div className="sorting">
      <label htmlFor={id}>
        <Trans>Sort by</Trans>
      </label>
      <div className="select">
        <select
          id={id} value={sort ?? 'newest'} onChange={(event) => onChange(event.target.value === 'relevance' ? 'relevance' : undefined)}
        >
          <option value="newest">{t`Newest first`}</option>
          <option value="relevance">{t`Best match first`}</option>
        </select>
        <Glyph name="down" />
      </div>
    </div>
  );
}
