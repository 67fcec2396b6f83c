// @ts-check
// Taking something out of the station: the one thing that asks again, by a
// second press of the same button, because it has no undo.
import { html, useEffect, useState } from '../html.js';
import { t } from '../words/words.js';
import { Problem } from '../state/api.js';

/** @param {{onRemove: () => Promise<any>, what?: string, sure?: string, testid?: string}} props */
export function RemoveButton({ onRemove, what, sure, testid }) {
  const [armed, setArmed] = useState(false);
  const [problem, setProblem] = useState('');
  useEffect(() => {
    if (!armed) return;
    const timer = setTimeout(() => setArmed(false), 5_000);
    return () => clearTimeout(timer);
  }, [armed]);
  const press = async () => {
    if (!armed) return setArmed(true);
    setArmed(false);
    try {
      await onRemove();
    } catch (err) {
      setProblem(err instanceof Problem ? `${err.message} ${err.hint}` : String(err));
    }
  };
  return html`<button type="button" class="btn quiet ${armed ? 'armed' : ''}" data-testid=${testid} onClick=${press} aria-live="polite">
      ${armed ? sure || t('remove.sure') : what || t('remove')}</button>
    ${problem && html`<span class="problem" role="alert">${problem}</span>`}`;
}
