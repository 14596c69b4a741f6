import { screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { describe, expect, it, vi } from 'vitest';
import { SampleField } from '../src/search/SampleField';
import { Sorting } from '../src/search/Sorting';
import { TechniqueField } from '../src/search/TechniqueField';
import { Centre, show } from './centre';

const LABELS = ['x-ray absorption spectroscopy', 'absorption tomography', 'x-ray absorption near edge structure'];
const panet = () =>
  new Centre({
    techniques: (({ text }: { text: string }) =>
      LABELS.filter((title) => title.includes(text.toLowerCase())).map((title) => ({ id: title, title }))) as never,
  });

describe('a technique', () => {
  it('is added by its label, which the list suggests, with the keyboard alone', async () => {
    const onAdd = vi.fn();
    const centre = panet();
    const { container } = await show(<TechniqueField chosen={[]} onAdd={onAdd} />, centre);
    const field = await screen.findByRole('combobox', { name: 'Add a technique' });
    await userEvent.type(field, 'absorption');
    await vi.waitFor(() => expect(container.querySelectorAll('datalist option')).toHaveLength(3));
    await userEvent.clear(field);
    await userEvent.type(field, 'X-ray Absorption Spectroscopy{Enter}');
    await vi.waitFor(() => expect(onAdd).toHaveBeenCalledWith('x-ray absorption spectroscopy'));
    expect((field as HTMLInputElement).value).toBe('');
  });

  it('is added when only one fits', async () => {
    const onAdd = vi.fn();
    await show(<TechniqueField chosen={[]} onAdd={onAdd} />, panet());
    await userEvent.type(await screen.findByRole('combobox'), 'tomography');
    await userEvent.click(screen.getByRole('button', { name: /^Add\s*technique$/ }));
    await vi.waitFor(() => expect(onAdd).toHaveBeenCalledWith('absorption tomography'));
  });

  it.each([
    ['absorption', 'Several techniques fit “absorption”. Choose one of the list.'],
    ['alchemy', 'PaNET has no technique called “alchemy”.'],
  ])('that cannot be told is not added: %s', async (typed, said) => {
    const onAdd = vi.fn();
    await show(<TechniqueField chosen={[]} onAdd={onAdd} />, panet());
    const field = await screen.findByRole('combobox');
    await userEvent.type(field, `${typed}{Enter}`);
    expect(await screen.findByText(said)).toBeTruthy();
    expect(field.getAttribute('aria-invalid')).toBe('true');
    expect(document.getElementById(field.getAttribute('aria-describedby') ?? '')?.textContent).toBe(said);
    expect((field as HTMLInputElement).value).toBe(typed);
    await userEvent.type(field, 'x');
    expect(screen.queryByText(said)).toBeNull();
    expect(onAdd).not.toHaveBeenCalled();
  });

  it('is not said to be unknown when the list could not be read', async () => {
    const centre = panet();
    centre.reachable = false;
    await show(<TechniqueField chosen={[]} onAdd={() => undefined} />, centre);
    await userEvent.type(await screen.findByRole('combobox'), 'tomography{Enter}');
    expect(await screen.findByText('The list of techniques could not be read just now.')).toBeTruthy();
  });

  it('is not added twice', async () => {
    const onAdd = vi.fn();
    await show(<TechniqueField chosen={['absorption tomography']} onAdd={onAdd} />, panet());
    const field = await screen.findByRole('combobox');
    await userEvent.type(field, 'tomography{Enter}');
    await vi.waitFor(() => expect((field as HTMLInputElement).value).toBe(''));
    expect(onAdd).not.toHaveBeenCalled();
  });
});

describe('the sample', () => {
  it('is asked with Enter or when the field is left, and only when it is another', async () => {
    const onChange = vi.fn();
    await show(<SampleField sample="gold" onChange={onChange} />, new Centre({}));
    const field = await screen.findByRole('searchbox', { name: 'Sample' });
    expect((field as HTMLInputElement).value).toBe('gold');
    await userEvent.type(field, '{Enter}');
    await userEvent.tab();
    expect(onChange).not.toHaveBeenCalled();
    await userEvent.clear(field);
    await userEvent.type(field, ' silver ');
    await userEvent.tab();
    expect(onChange.mock.calls).toEqual([['silver']]);
  });
});

describe('the order', () => {
  it('is chosen by its words', async () => {
    const onChange = vi.fn();
    await show(<Sorting sort={undefined} onChange={onChange} />, new Centre({}));
    const select = await screen.findByRole('combobox', { name: 'Sort by' });
    await userEvent.selectOptions(select, 'Best match first');
    await userEvent.selectOptions(select, 'Newest first');
    expect(onChange.mock.calls).toEqual([['relevance'], [undefined]]);
  });
});
