// @ts-check
// When a sensor alarms, and what that would have come to in the last week.
import { html, useState } from '../html.js';
import { t } from '../words/words.js';
import { when } from '../words/times.js';
import { post, Problem } from '../state/api.js';
import { now } from '../state/clock.js';
import { served } from '../state/served.js';
import { ruleWords } from '../words/rules.js';

/** @typedef {import('../records.js').Sensor} Sensor */
/** @typedef {import('../records.js').Rule} Rule */

const trialDays = 7;

/** What a rule would have raised. @param {{sensor?: string, class?: string, rule: Rule}} props */
export function Trial({ sensor, class: cls, rule }) {
  const [result, setResult] = useState(/** @type {{alarms: number, first: string}|null} */ (null));
  const [fault, setFault] = useState('');
  const [busy, setBusy] = useState(false);
  const press = async () => {
    setBusy(true);
    try {
      const to = Date.now();
      const body = await post('/rules/trial', { ...(sensor ? { sensor } : { class: cls }), rule, from: new Date(to - trialDays * 86_400_000).toISOString(), to: new Date(to).toISOString() });
      const first = (body?.first ?? [])[0];
      const at = first?.at;
      setFault('');
      setResult({ alarms: body?.alarms ?? 0, first: typeof at === 'string' ? at : '' });
    } catch (err) {
      setResult(null);
      setFault(err instanceof Problem ? `${err.message} ${err.hint}` : String(err));
    } finally {
      setBusy(false);
    }
  };
  const said = result ? [t('trial.said', { days: trialDays, n: result.alarms }), result.first && t('trial.first', { time: when(result.first, now.value) })].filter(Boolean).join(t('comma')) : fault;
  return html`<button type="button" class="btn quiet" disabled=${busy} data-testid="trial" onClick=${press}>${t(busy ? 'busy' : 'trial')}</button>
    ${said && html`<p class="said" role="status" data-testid="trial-said">${said}</p>`}`;
}

/** @param {{sensor: Sensor, change: boolean, onEdit: () => void}} props */
export function SensorRules({ sensor, change, onEdit }) {
  const list = sensor.rules ?? [];
  return html`<section class="card" data-testid="sensor-rules"><h2>${t('rules')}</h2>
    ${list.length === 0 && html`<p class="note">${t('rules.usual')}</p>`}
    <ul class="rows">${list.map((r, i) => html`<li key=${i} class=${r.disabled ? 'off' : ''}><div>${r.name && html`<b>${r.name}</b> `}${r.expr ? html`<code>${r.expr}</code> → ${ruleWords({ ...r, expr: '' }).split('→').pop()}` : ruleWords(r)}
      ${r.version ? html`<span class="tab">${t('rule.version', { n: r.version })}</span>` : null}${r.disabled ? html`<span class="tab">${t('account.disabled')}</span>` : null}
      ${served('/rules/trial') && html`<${Trial} sensor=${sensor.id} rule=${r} />`}</div></li>`)}</ul>
    ${change && html`<button type="button" class="btn" onClick=${onEdit}>${t('change')}</button>`}</section>`;
}
