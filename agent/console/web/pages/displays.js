// @ts-check
// Displays of the duty room: screens that never log out. An administrator arms
// one; its link opens it once, on the screen itself.
import { html, useState } from '../html.js';
import { t } from '../words/words.js';
import { when } from '../words/times.js';
import { newKey, post, remove } from '../state/api.js';
import { now } from '../state/clock.js';
import { Field, Form } from '../ui/form.js';
import { LoadProblem, useLoad } from '../ui/load.js';
import { RemoveButton } from '../ui/remove.js';

/** @typedef {import('../records.js').Display} Display */

export function Displays() {
  const { data, problem, again } = useLoad('/displays');
  const [name, setName] = useState('');
  const [link, setLink] = useState('');
  /** @type {Display[]} */
  const list = data?.displays ?? [];
  const arm = async () => {
    const made = await post('/displays', { name: name.trim() }, { 'Idempotency-Key': newKey() });
    setLink(`${location.origin}/#login=${encodeURIComponent(made.token)}`);
    setName('');
    again();
  };
  return html`<p class="lead">${t('displays.lead')}</p><${LoadProblem} problem=${problem} again=${again} />
    ${list.length > 0 && html`<ul class="card steplist narrow">${list.map((d) => html`<li key=${d.id} data-testid="display"><i class="light ${opened(d) ? 'ok' : 'off'}"></i><div><b>${d.name}</b>
      <p>${opened(d) ? t('displays.seen', { time: when(d.seenAt, now.value), address: d.address }) : Date.parse(d.linkUntil ?? '') > now.value ? t('displays.waits', { time: when(d.linkUntil, now.value) }) : t('displays.missed')}</p><p class="note">${t('displays.by', { name: d.by, time: when(d.armedAt, now.value) })}</p></div>
      <${RemoveButton} what=${t('displays.disarm')} sure=${t('displays.disarm.sure')} onRemove=${async () => {
        await remove(`/displays/${encodeURIComponent(d.id)}`);
        again();
      }} /></li>`)}</ul>`}
    ${link
      ? html`<section class="card narrow below" data-testid="display-link"><p>${t('displays.open')}</p><p><code>${link}</code></p><p class="note">${t('displays.once')}</p><button type="button" class="btn" onClick=${() => setLink('')}>${t('device.noted')}</button></section>`
      : html`<section class="card narrow below"><${Form} submit=${t('displays.arm')} onSubmit=${arm} testid="display-form"><${Field} label=${t('camera.name')} hint=${t('displays.name.hint')} value=${name} onValue=${setName} name="name" required maxlength="40" /><//></section>`}`;
}

/** @param {Display} d */
const opened = (d) => Date.parse(d.openedAt ?? '') > 0;
