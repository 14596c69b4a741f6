import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { Button, Checkbox, CheckboxGroup, Disclosure, DisclosurePanel, Heading } from 'react-aria-components';
import type { FacilitySummary } from '../facilities/queries';
import { filterCount, type SearchAddress } from '../lib/address';
import { Glyph } from '../ui/Icon';
import { choices, facilityChoices, type Choice } from './facets';
import type { Progress } from './progress';
import type { Facet } from './queries';
import { SampleField } from './SampleField';
import { TechniqueField } from './TechniqueField';

const SHOWN_AT_FIRST = 8;
const WIDE = '(min-width: 52rem)';

interface GroupProps {
  label: string;
  values: Choice[];
  chosen: string[];
  onChange: (chosen: string[]) => void;
}

function Group({ label, values, chosen, onChange }: GroupProps) {
  const [all, setAll] = useState(false);
  const shown = all ? values : values.filter((each, index) => index < SHOWN_AT_FIRST || chosen.includes(each.value));
  const hidden = values.length - shown.length;
  if (values.length === 0) return null;
  return (
    <Disclosure defaultExpanded className="facet">
      <Heading level={3}>
        <Button slot="trigger" className="facet-head">
          {label}
          <Glyph name="down" />
        </Button>
      </Heading>
      <DisclosurePanel>
        <CheckboxGroup aria-label={label} value={chosen} onChange={onChange}>
          {shown.map((each) => (
            <Checkbox key={each.value} value={each.value} className="check">
              <span className="box" aria-hidden="true" />
              <span className="check-label">{each.title}</span>
              {each.count === null ? null : (
                <span className="count">
                  <span className="sr-only">: </span>
                  {each.count}
                </span>
              )}
            </Checkbox>
          ))}
        </CheckboxGroup>
        {hidden > 0 ? (
          <Button className="link" onPress={() => setAll(true)}>
            <Plural value={hidden} one="Show # more" other="Show # more" />
            <span className="sr-only"> – {label}</span>
          </Button>
        ) : null}
      </DisclosurePanel>
    </Disclosure>
  );
}

/** Values seen since the text changed. */
function useSeen(facets: readonly Facet[], text: string): string[] {
  const seen = useRef({ text, values: new Set<string>() });
  if (seen.current.text !== text) seen.current = { text, values: new Set() };
  for (const facet of facets) seen.current.values.add(facet.title);
  return [...seen.current.values];
}

function Day({ label, value, min, max, onChange }: {
  label: string;
  value: string | undefined;
  min?: string;
  max?: string;
  onChange: (value: string | undefined) => void;
}) {
  return (
    <label className="day">
      <span>{label}</span>
      <input type="date" value={value ?? ''} min={min} max={max} onChange={(event) => onChange(event.target.value || undefined)} />
    </label>
  );
}

function useWide(): boolean {
  const [wide, setWide] = useState(() => matchMedia(WIDE).matches);
  useEffect(() => {
    const query = matchMedia(WIDE);
    const onChange = () => setWide(query.matches);
    query.addEventListener('change', onChange);
    return () => query.removeEventListener('change', onChange);
  }, []);
  return wide;
}

interface FiltersProps {
  address: SearchAddress;
  progress: Progress;
  facilities: readonly FacilitySummary[];
  change: (changes: Partial<SearchAddress>) => void;
  children: ReactNode;
}

function Groups({ address, progress, facilities, change, children }: FiltersProps) {
  const { t } = useLingui();
  const { facets } = progress;
  const text = address.q ?? '';
  const instruments = useSeen(facets.instruments, text);
  const proposals = useSeen(facets.proposals, text);
  const techniques = useSeen(facets.techniques, text);
  const list = (values: string[]) => (values.length ? values : undefined);
  return (
    <>
      {children}
      <Group
        label={t`Facility`}
        values={facilityChoices(facilities, facets.facilities)}
        chosen={address.facility ?? []}
        onChange={(facility) => change({ facility: list(facility) })}
      />
      <Group
        label={t`Instrument`}
        values={choices(facets.instruments, instruments, address.instrument ?? [])}
        chosen={address.instrument ?? []}
        onChange={(instrument) => change({ instrument: list(instrument) })}
      />
      <Group
        label={t`Proposal`}
        values={choices(facets.proposals, proposals, address.proposal ?? [])}
        chosen={address.proposal ?? []}
        onChange={(proposal) => change({ proposal: list(proposal) })}
      />
      <Group
        label={t`Technique`}
        values={choices(facets.techniques, techniques, address.technique ?? [])}
        chosen={address.technique ?? []}
        onChange={(technique) => change({ technique: list(technique) })}
      />
      <TechniqueField
        chosen={address.technique ?? []}
        onAdd={(label) => change({ technique: [...(address.technique ?? []), label] })}
      />
      <SampleField sample={address.sample ?? ''} onChange={(sample) => change({ sample: sample || undefined })} />
      <fieldset className="days">
        <legend>
          <Trans>Measured</Trans>
        </legend>
        <Day label={t`From`} value={address.from} max={address.to} onChange={(from) => change({ from })} />
        <Day label={t`Until`} value={address.to} min={address.from} onChange={(to) => change({ to })} />
      </fieldset>
      {progress.facets.facilities.length > 0 ? (
        <p className="stamp">
          <Trans>Numbers count the datasets on this page.</Trans>
        </p>
      ) : null}
    </>
  );
}

/** What narrows the search: beside the results where there is room, folded above them where there is none. */
export function Filters(props: FiltersProps) {
  const { t } = useLingui();
  const wide = useWide();
  const number = filterCount(props.address);
  if (wide) {
    return (
      <aside aria-label={t`Filters`} className="side">
        <h2>
          <Trans>Filters</Trans>
        </h2>
        <Groups {...props} />
      </aside>
    );
  }
  return (
    <aside aria-label={t`Filters`} className="side">
      <Disclosure className="folded">
        <Button slot="trigger" className="btn folded-head">
          {number > 0 ? <Trans>Filters ({number})</Trans> : <Trans>Filters</Trans>}
          <Glyph name="down" />
        </Button>
        <DisclosurePanel>
          <Groups {...props} />
        </DisclosurePanel>
      </Disclosure>
    </aside>
  );
}
