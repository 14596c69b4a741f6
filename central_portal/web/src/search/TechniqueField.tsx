import { Trans, useLingui } from '@lingui/react/macro';
import { useEffect, useId, useState, type FormEvent } from 'react';
import { useClient, useQuery } from 'urql';
import { doc } from '../api/doc';
import { announce } from '../ui/announce';
import { TechniquesLike } from './queries';

const TechniquesDocument = doc(TechniquesLike);
const TYPING_PAUSE_MS = 250;
const LONGEST = 200;

/** What is typed, a moment after typing has paused. */
function usePaused(text: string): string {
  const [paused, setPaused] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setPaused(text), TYPING_PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return paused;
}

/** Adds a technique by a label of PaNET; the browser's own list suggests labels while somebody types. */
export function TechniqueField({ chosen, onAdd }: { chosen: readonly string[]; onAdd: (label: string) => void }) {
  const { t } = useLingui();
  const id = useId();
  const client = useClient();
  const [typed, setTyped] = useState('');
  const [said, setSaid] = useState('');
  const text = usePaused(typed).trim();
  const [{ data }] = useQuery({ query: TechniquesDocument, variables: { text }, pause: text.length < 2 });
  const suggested = text.length < 2 ? [] : (data?.techniques ?? []);
  const add = async (event: FormEvent) => {
    event.preventDefault();
    const wanted = typed.trim();
    if (!wanted) return;
    const answer = await client.query(TechniquesDocument, { text: wanted }).toPromise();
    const found = answer.data?.techniques ?? [];
    const label = found.length === 1 ? found[0]?.title : found.find(({ title }) => title.toLowerCase() === wanted.toLowerCase())?.title;
    if (!label) {
      const why = !answer.data
        ? t`The list of techniques could not be read just now.`
        : found.length
          ? t`Several techniques fit “${wanted}”. Choose one of the list.`
          : t`PaNET has no technique called “${wanted}”.`;
      setSaid(why);
      announce(why);
      return;
    }
    setTyped('');
    if (!chosen.includes(label)) onAdd(label);
  };
  return (
    <form className="filter-field" onSubmit={(event) => void add(event)}>
      <label htmlFor={id}>
        <Trans>Add a technique</Trans>
      </label>
      <div className="filter-input">
        <input
          type="text" id={id} list={`${id}-labels`} value={typed} maxLength={LONGEST} autoComplete="off" aria-describedby={`${id}-said`}
          aria-invalid={said !== '' || undefined} placeholder={t`For example absorption …`}
          onChange={(event) => {
            setTyped(event.target.value);
            setSaid('');
          }}
        />
        <button type="submit" className="btn small">
          <Trans>Add</Trans>
          <span className="sr-only">
            {' '}
            <Trans>technique</Trans>
          </span>
        </button>
      </div>
      <datalist id={`${id}-labels`}>
        {suggested.map((technique) => (
          <option key={technique.id} value={technique.title} />
        ))}
      </datalist>
      <p id={`${id}-said`} className="muted stamp">
        {said || <Trans>Narrower techniques are found too.</Trans>}
      </p>
    </form>
  );
}
