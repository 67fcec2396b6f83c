// @ts-check
// At a station: what the centre may order, and messages that stand on the screens.
import { html, useEffect, useState } from '../html.js';
import { t } from '../words/words.js';
import { when } from '../words/times.js';
import { newKey, post, put } from '../state/api.js';
import { now } from '../state/clock.js';
import { may } from '../state/session.js';
import { served } from '../state/served.js';
import { setupTurn } from '../state/store.js';
import { Check, Field, Form } from '../ui/form.js';
import { LoadProblem, useLoad } from '../ui/load.js';

const classes = /** @type {const} */ (['alarms', 'live', 'record', 'turn', 'setup', 'mode', 'broadcast']);

export function ParentPolicy() {
  const { data, problem, again } = useLoad('/parent-policy');
  const [refuse, setRefuse] = useState(/** @type {string[]|null} */ (null));
  const [why, setWhy] = useState(/** @type {string|null} */ (null));
  const [saved, setSaved] = useState(false);
  if (!data) return html`<${LoadProblem} problem=${problem} again=${again} />`;
  const now = refuse ?? data.refuse ?? [];
  const save = async () => {
    await put('/parent-policy', { refuse: now, why: why ?? data.why ?? '' });
    setSaved(true);
    again();
  };
  return html`<section class="card below" data-testid="parent-policy"><h2>${t('pp.title')}</h2><p class="note">${t('pp.lead')}</p>
    <${Form} submit=${saved ? t('pp.saved') : t('save')} onSubmit=${save}>${classes.map((c) => html`<${Check} key=${c} name=${c} label=${t(`pp.${c}`)} checked=${!now.includes(c)} onValue=${(/** @type {boolean} */ on) => { setSaved(false); setRefuse(on ? now.filter((/** @type {string} */ x) => x !== c) : [...now, c]); }} />`)}
      ${now.length > 0 && html`<${Field} label=${t('pp.why')} value=${why ?? data.why ?? ''} onValue=${setWhy} maxlength="200" name="why" />`}<//></section>`;
}

const lookAgain = 15_000; // ms

/** The messages that nobody here has read yet. */
export function Broadcasts() {
  const { data, again } = useLoad(served('/broadcasts') ? '/broadcasts' : '');
  useEffect(() => {
    const timer = setInterval(again, lookAgain);
    return () => clearInterval(timer);
  }, [setupTurn.value]);
  const list = (data?.broadcasts ?? []).filter((/** @type {any} */ b) => !(b.seen ?? []).length && Date.parse(b.until) > now.value);
  return html`${list.map((/** @type {any} */ b) => html`<div key=${b.id} class="banner notice" role="status" data-testid="broadcast"><strong>${b.text}</strong> <span>${t('bc.from', { name: b.by ?? '', time: when(b.at, now.value) })}</span>
    ${may('answer') && html`<button type="button" class="btn" data-testid="broadcast-read" onClick=${() => post(`/broadcasts/${encodeURIComponent(b.id)}/seen`, {}, { 'Idempotency-Key': newKey() }).then(again, again)}>${t('bc.read')}</button>`}</div>`)}`;
}
