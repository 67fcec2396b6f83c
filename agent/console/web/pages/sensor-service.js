// @ts-check
// What is done to a device: it is serviced or tried out for a time, gets an
// account of its own, or makes room for a new one.
import { html, useEffect, useState } from '../html.js';
import { t } from '../words/words.js';
import { when } from '../words/times.js';
import { get, newKey, post, put, remove } from '../state/api.js';
import { now } from '../state/clock.js';
import { loadAll, sensors } from '../state/store.js';
import { served } from '../state/served.js';
import { Field, Form } from '../ui/form.js';
import { useLoad } from '../ui/load.js';
import { RemoveButton } from '../ui/remove.js';

/** @typedef {import('../records.js').Sensor} Sensor */

const lengths = [30, 120, 480, 1440, 4320];
const lookAgain = 5000; // ms, for what a sensor in maintenance reports

/** @param {string} id @param {string} rest */
const path = (id, rest) => `/sensors/${encodeURIComponent(id)}/${rest}`;

/** @typedef {{times: number, lastAt?: string, standing: number}} Worked */

/** What was reported in a maintenance, and what becomes of it at its end. @param {Worked} w */
const workedWords = (w) => `${t('service.worked', { n: w.times, time: when(w.lastAt, now.value) })}${t(w.standing ? 'service.worked.stands' : 'service.worked.over')}`;

/** What the sensor has reported in its maintenance; null where it is none, or nothing. @param {Sensor} sensor @returns {Worked|null} */
function useWorked(sensor) {
  const wanted = sensor.service?.mode === 'maintenance' && served('/sensors/{id}/service');
  const { data, again } = useLoad(wanted ? path(sensor.id, 'service') : '');
  useEffect(() => {
    if (!wanted) return;
    const timer = setInterval(again, lookAgain);
    return () => clearInterval(timer);
  }, [wanted]);
  return wanted && data?.times ? data : null;
}

/** @param {{sensor: Sensor}} props */
export function ServiceCard({ sensor }) {
  const [open, setOpen] = useState(false);
  const [mode, setMode] = useState('maintenance');
  const [minutes, setMinutes] = useState(String(lengths[1]));
  const [why, setWhy] = useState('');
  const [ended, setEnded] = useState('');
  const s = sensor.service;
  const worked = useWorked(sensor);
  if (s) {
    return html`<section class="card" data-testid="service"><h2>${t('service')}</h2><p><b>${t(`service.${s.mode}`)}</b> · ${s.name || s.by} · ${when(s.since, now.value)} → ${when(s.until, now.value)}</p>
      ${s.why && html`<p>${s.why}</p>`}<p class="note">${t(`service.${s.mode}.hint`)}</p>
      ${worked && html`<p data-testid="service-worked" class=${worked.standing ? 'warn' : ''}>${workedWords(worked)}</p>`}
      <button type="button" class="btn" data-testid="service-end" onClick=${async () => {
        const last = await get(path(sensor.id, 'service'));
        await remove(path(sensor.id, 'service'));
        setEnded(last?.times ? `${t('service.ended')} ${workedWords(last)}` : '');
        await loadAll();
      }}>${t('service.end')}</button></section>`;
  }
  const send = async () => {
    await put(path(sensor.id, 'service'), { mode, minutes: Number(minutes), why: why.trim() });
    await loadAll();
    setOpen(false);
  };
  return html`<section class="card" data-testid="service"><h2>${t('service')}</h2>
    ${ended && !open && html`<p class="said" role="status" data-testid="service-ended">${ended}</p>`}
    ${!open && html`<button type="button" class="btn" data-testid="service-begin" onClick=${() => setOpen(true)}>${t('service.begin')}</button>`}
    ${open && html`<${Form} submit=${t('service.begin')} onSubmit=${send} onCancel=${() => setOpen(false)}>
      <div class="two">
        <${Field} label=${t('service.mode')} value=${mode} onValue=${setMode} name="mode" options=${[['maintenance', t('service.maintenance')], ['test', t('service.test')]]} hint=${t(mode === 'test' ? 'service.test.hint' : 'service.maintenance.hint')} />
        <${Field} label=${t('shelf.time')} value=${minutes} onValue=${setMinutes} name="minutes" options=${lengths.map((n) => [String(n), n < 60 ? t('time.minutes', { n }) : n < 1440 ? t('time.hours', { n: n / 60 }) : t('time.days', { n: n / 1440 })])} />
      </div>
      <${Field} label=${t('service.why')} value=${why} onValue=${setWhy} name="why" maxlength="200" /><//>`}
  </section>`;
}

/** An account at the built-in broker for this device alone; its password is shown this once. @param {{sensor: Sensor}} props */
export function CredentialCard({ sensor }) {
  const [made, setMade] = useState(/** @type {any} */ (null));
  const make = async () => setMade(await post(path(sensor.id, 'credential'), {}, { 'Idempotency-Key': newKey() }));
  return html`<section class="card" data-testid="credential"><h2>${t('device.credential')}</h2><p class="note">${t('device.credential.hint')}</p>
    ${made
      ? html`<dl class="credential"><div><dt>${t('login.account')}</dt><dd><code>${made.username}</code></dd></div><div><dt>${t('login.password')}</dt><dd><code data-testid="credential-password">${made.password}</code></dd></div>
          ${(made.publish ?? made.topics ?? []).length > 0 && html`<div><dt>${t('device.publish')}</dt><dd>${(made.publish ?? made.topics).map((/** @type {string} */ x) => html`<code key=${x}>${x}</code> `)}</dd></div>`}
          ${(made.subscribe ?? []).length > 0 && html`<div><dt>${t('device.subscribe')}</dt><dd>${made.subscribe.map((/** @type {string} */ x) => html`<code key=${x}>${x}</code> `)}</dd></div>`}
          <p class="note">${t('device.made.hint')}</p><button type="button" class="btn" onClick=${() => setMade(null)}>${t('device.noted')}</button></dl>`
      : html`<${Form} submit=${t('device.make')} onSubmit=${make} testid="credential-form" />`}</section>`;
}

/** A new device takes the place of this one; name, rules and history stay. @param {{sensor: Sensor}} props */
export function ReplaceCard({ sensor }) {
  const [by, setBy] = useState('');
  const strangers = [...sensors.value.values()].filter((r) => !r.sensor.adopted && r.sensor.id !== sensor.id);
  const swap = async () => {
    await post(path(sensor.id, 'replacement'), { sensor: by }, { 'Idempotency-Key': newKey() });
    setBy('');
    await loadAll();
  };
  return html`<section class="card" data-testid="replace"><h2>${t('replace')}</h2><p class="note">${t(strangers.length ? 'replace.hint' : 'replace.none')}</p>
    ${strangers.length > 0 && html`<${Field} label=${t('replace.by')} value=${by} onValue=${setBy} name="by" options=${[['', t('replace.choose')], ...strangers.map(({ sensor: s }) => [s.id, [s.name || s.id, s.model].filter(Boolean).join(' · ')])]} />
      ${by && html`<${RemoveButton} onRemove=${swap} what=${t('replace.do')} sure=${t('replace.sure')} testid="replace-do" />`}`}</section>`;
}
