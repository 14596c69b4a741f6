import { useLingui } from '@lingui/react/macro';
import type { LinkState, FacilityState as State } from '../gql/graphql';
import { Status } from '../ui/Status';
import { FACILITY_STATES, LINK_STATES } from '../words/states';

/** Online or offline, as a word with its icon. */
export function FacilityState({ state }: { state: State }) {
  const { i18n } = useLingui();
  const word = FACILITY_STATES[state];
  return (
    <Status tone={word.tone} strong>
      {i18n._(word.text)}
    </Status>
  );
}

/** Whether one's account is linked, as a word with its icon. */
export function AccountLinkState({ state }: { state: LinkState }) {
  const { i18n } = useLingui();
  const word = LINK_STATES[state];
  return <Status tone={word.tone}>{i18n._(word.text)}</Status>;
}
