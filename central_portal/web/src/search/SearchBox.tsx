import { Trans, useLingui } from '@lingui/react/macro';
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { Button, Input, Label, SearchField } from 'react-aria-components';
import { Glyph } from '../ui/Icon';

const TYPING_PAUSE_MS = 300;
const LONGEST = 200;

/** The text of a search; asks after a pause in typing, or at once with Enter. `/` moves the focus here. */
export function SearchBox({ text, label, hint, onChange }: {
  text: string;
  label?: ReactNode;
  hint?: string;
  onChange: (text: string) => void;
}) {
  const { t } = useLingui();
  const [typed, setTyped] = useState(text);
  const told = useRef(text);
  const input = useRef<HTMLInputElement>(null);
  const tell = (value: string) => {
    if (told.current === value) return;
    told.current = value;
    onChange(value);
  };
  useEffect(() => {
    const timer = setTimeout(() => tell(typed), TYPING_PAUSE_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  useEffect(() => {
    // The address changed by itself: Back, or a link that removes the text.
    if (text === told.current) return;
    told.current = text;
    setTyped(text);
  }, [text]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLElement && event.target.closest('input, textarea, select, [role=dialog]');
      if (event.key !== '/' || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      input.current?.focus();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);

  return (
    <SearchField className="search-box" value={typed} onChange={setTyped} onSubmit={tell} onClear={() => tell('')}>
      <Label>
        {label ?? <Trans>Search data at all facilities</Trans>}
      </Label>
      <div className="search-input">
        <Glyph name="search" />
        <Input ref={input} maxLength={LONGEST} enterKeyHint="search" placeholder={hint ?? t`Title, sample, proposal, instrument …`} />
        <Button className="clear" aria-label={t`Clear the search text`}>
          <Glyph name="close" />
        </Button>
      </div>
    </SearchField>
  );
}
