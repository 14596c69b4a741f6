import { useLingui } from '@lingui/react/macro';
import { formatLocale } from '../i18n';
import { duration } from '../lib/format';
import { useNow } from '../lib/now';
import type { SeenTask } from '../tasks/task';
import { Icon } from '../ui/Icon';
import { STEP_STATES, stepWords } from '../words/states';
import type { Step } from './queries';

/** The steps of a start: done, under way with the time it takes, to do. What the facility says of the data stays. */
export function Steps({ workspace }: { workspace: SeenTask & { steps: readonly Step[] } }) {
  const { i18n, t } = useLingui();
  const now = useNow();
  return (
    <ol className="steps" aria-label={t`Steps of the start`}>
      {workspace.steps.map((step) => {
        const words = stepWords(workspace, step.name);
        const state = STEP_STATES[step.state];
        const active = step.state === 'ACTIVE';
        const elapsed = step.enteredAt ? (now - Date.parse(step.enteredAt)) / 1000 : null;
        return (
          <li key={step.name} className={`step step-${step.state.toLowerCase()}`} aria-current={active ? 'step' : undefined}>
            <Icon tone={state.tone} />
            <span className="step-text">
              {i18n._(step.state === 'DONE' ? words.done : words.doing)}
              <span className="sr-only">: {i18n._(state.text)}</span>
              {active && elapsed !== null && elapsed >= 2 ? <span className="muted"> {duration(elapsed, formatLocale)}</span> : null}
              {step.detail && (active || step.name === 'DATA') ? <span className="muted step-detail">{step.detail}</span> : null}
            </span>
          </li>
        );
      })}
    </ol>
  );
}
