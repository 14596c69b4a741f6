import { Trans, useLingui } from '@lingui/react/macro';
import { Label, Radio, RadioGroup, Text } from 'react-aria-components';
import type { FacilityFull } from '../facilities/queries';
import { formatLocale } from '../i18n';
import { duration } from '../lib/format';
import { Glyph } from '../ui/Icon';
import { Status } from '../ui/Status';
import { USED_AS } from '../words/states';
import type { Offer } from './choice';
import { FlavourText } from './FlavourText';

/** "Notebook", "Mantid (Desktop)": what it is used as goes without saying when its title says so. */
function named(title: string, usedAs: string): string {
  return title.toLowerCase().includes(usedAs.toLowerCase()) ? title : `${title} (${usedAs})`;
}

/** Which environment; the line below tells what is in it and as whom it runs. */
export function EnvironmentField({ facility, offer, onChange }: { facility: FacilityFull; offer: Offer; onChange: (slug: string) => void }) {
  const { i18n } = useLingui();
  const { environment } = offer;
  return (
    <div className="field">
      <label className="field-label" htmlFor="launch-environment">
        <Trans>Environment</Trans>
      </label>
      <div className="select">
        <select
          id="launch-environment"
          value={environment.slug}
          aria-describedby="launch-software"
          onChange={(event) => onChange(event.target.value)}
        >
          {facility.environments
            .filter((each) => each.flavours.length > 0)
            .map((each) => (
              <option key={each.id} value={each.slug}>
                {named(each.title, i18n._(USED_AS[each.usedAs]))}
              </option>
            ))}
        </select>
        <Glyph name="down" />
      </div>
      <div id="launch-software" className="stack-tight">
        {environment.description ? <p className="muted">{environment.description}</p> : null}
        {environment.software.length ? (
          <p className="muted">{environment.software.map((program) => `${program.name} ${program.version}`.trim()).join(', ')}</p>
        ) : null}
        {environment.usedAs === 'TASK' ? (
          <p>
            <Trans>A task: it runs to its end, and nobody needs to watch. Its results go into the proposal’s folder “processed”.</Trans>
          </p>
        ) : null}
        {environment.isolation === 'NONE' ? (
          <Status tone="info">
            <Trans>Runs as the facility’s service user, not as your own account.</Trans>
          </Status>
        ) : null}
      </div>
    </div>
  );
}

/** Which size; the recommended one is marked. */
export function SizeField({ offer, onChange }: { offer: Offer; onChange: (slug: string) => void }) {
  const { environment, flavour } = offer;
  return (
    <RadioGroup className="field" value={flavour.slug} onChange={onChange}>
      <Label className="field-label">
        <Trans>Size</Trans>
      </Label>
      <div className="size-grid">
        {environment.flavours.map((each) => (
          <Radio key={each.id} value={each.slug} className="size">
            <span className="dot" aria-hidden="true" />
            <span className="size-text">
              <strong>{each.title}</strong>
              <span>
                <FlavourText flavour={each} />
              </span>
              {each.id === environment.recommendedFlavour?.id ? (
                <span className="muted">
                  <Trans>Recommended</Trans>
                </span>
              ) : null}
            </span>
          </Radio>
        ))}
      </div>
    </RadioGroup>
  );
}

/** After how long it ends; a task may have finished before. */
export function LifetimeField({ offer, lifetime, onChange }: { offer: Offer; lifetime: number; onChange: (seconds: number) => void }) {
  const isTask = offer.environment.usedAs === 'TASK';
  return (
    <RadioGroup className="field" orientation="horizontal" value={String(lifetime)} onChange={(value) => onChange(Number(value))}>
      <Label className="field-label">
        {isTask ? <Trans>Ends at the latest after</Trans> : <Trans>Ends after</Trans>}
      </Label>
      <div className="row">
        {offer.lifetimes.map((seconds) => (
          <Radio key={seconds} value={String(seconds)} className="chip">
            {duration(seconds, formatLocale)}
          </Radio>
        ))}
      </div>
      <Text slot="description" className="muted">
        {isTask ? (
          <Trans>A task that has not finished by then is ended; what it wrote until then stays.</Trans>
        ) : (
          <Trans>What lies in the workspace’s own folder goes with it; save results elsewhere before the end.</Trans>
        )}
      </Text>
    </RadioGroup>
  );
}
