// @ts-check
// How a station sees to it that an alarm is answered: when it is open, how long
// the desk has, for which alarms people are told, and when the centre takes over.
import { html, useEffect, useState } from '../html.js';
import { t } from '../words/words.js';
import { span } from '../words/times.js';
import { newKey, post, Problem, put } from '../state/api.js';
import { Field, Form } from '../ui/form.js';
import { HoursField, SeverityField } from '../ui/hours.js';
import { LoadProblem, useLoad } from '../ui/load.js';

const waits = [0, 15, 30, 60, 120, 300];
const takeOvers = [300, 600, 900, 1800, 3600];
const usualTakeOver = 600;

export function Duty() {
  const { data, problem, again } = useLoad('/hours');
  const [d, setD] = useState(/** @type {any} */ (null));
  const [saved, setSaved] = useState(false);
  useEffect(() => {
    if (data) setD({ ...data, takeOverSeconds: data.takeOverSeconds || usualTakeOver });
  }, [data]);
  if (!d) return html`<${LoadProblem} problem=${problem} again=${again} />`;
  /** @param {any} part */
  const change = (part) => {
    setSaved(false);
    setD({ ...d, ...part });
  };
  const send = async () => {
    await put('/hours', { open: d.open ?? [], escalate: d.escalate ?? [], deskSeconds: d.deskSeconds, parentSeconds: d.parentSeconds, takeOverSeconds: d.takeOverSeconds });
    setSaved(true);
    again();
  };
  /** @param {number} now */
  const options = (now) => [...new Set([...waits, now])].sort((a, b) => a - b).map((n) => [String(n), n ? span(n * 1000) : t('duty.atOnce')]);
  return html`<p class="lead">${t(d.closed ? 'duty.closed' : 'duty.open')}${!d.parent ? ` ${t('duty.noParent')}` : ''}</p>
    <section class="card narrow"><${Form} submit=${t('save')} onSubmit=${send} testid="duty-form" extra=${saved && html`<span class="good" role="status">${t('saved')}</span><span class="grow"></span>`}>
      <${HoursField} label=${t('duty.hours')} hint=${t('duty.hours.hint')} none=${t('duty.hours.none')} value=${d.open ?? []} onValue=${(/** @type {any} */ v) => change({ open: v })} />
      <${SeverityField} label=${t('duty.escalate')} value=${d.escalate ?? []} onValue=${(/** @type {string[]} */ v) => change({ escalate: v })} />
      <div class="two"><${Field} label=${t('duty.desk')} hint=${t('duty.desk.hint')} value=${String(d.deskSeconds)} onValue=${(/** @type {string} */ v) => change({ deskSeconds: Number(v) })} name="desk" options=${options(d.deskSeconds)} />
      <${Field} label=${t('duty.parent')} hint=${t('duty.parent.hint')} value=${String(d.parentSeconds)} onValue=${(/** @type {string} */ v) => change({ parentSeconds: Number(v) })} name="parent" options=${options(d.parentSeconds)} /></div>
      ${d.parent && html`<${Field} label=${t('duty.takeover')} hint=${t('duty.takeover.hint')} value=${String(d.takeOverSeconds)} onValue=${(/** @type {string} */ v) => change({ takeOverSeconds: Number(v) })} name="takeover" options=${[...new Set([...takeOvers, d.takeOverSeconds])].sort((a, b) => a - b).map((n) => [String(n), span(n * 1000)])} />`}
    <//></section>`;
}

/** The machine's own loudspeaker, and a tone to try it. */
export function Sound() {
  const { data, problem, again } = useLoad('/sound');
  const [busy, setBusy] = useState(false);
  const [played, setPlayed] = useState(false);
  const [fault, setFault] = useState('');
  const press = async () => {
    setBusy(true);
    try {
      await post('/sound/test', {}, { 'Idempotency-Key': newKey() });
      setFault('');
      setPlayed(true);
    } catch (err) {
      setPlayed(false);
      setFault(err instanceof Problem ? `${err.message} ${err.hint}` : String(err));
    } finally {
      setBusy(false);
      again();
    }
  };
  const state = /** @type {'ok'|'muted'|'missing'|'off'} */ (data?.state ?? 'off');
  return html`<${LoadProblem} problem=${problem} again=${again} />
    ${data && html`<section class="card narrow" data-testid="sound-state"><p class="big"><i class="light ${state === 'ok' ? 'ok' : state === 'off' ? 'off' : 'warn'}"></i>${t(`soundstate.${state}`)}</p>
      ${data.device && html`<p>${t('soundtest.device')} <span class="typed">${data.device}</span></p>`}${data.cause && html`<p class="note typed">${data.cause}</p>`}
      <p class="below"><button type="button" class="btn go" disabled=${busy || state === 'off'} data-testid="sound-test" onClick=${press}>${t(busy ? 'busy' : 'soundtest')}</button></p>
      ${(played || fault) && html`<p class="said" role="status">${played ? t('soundtest.done') : fault}</p>`}</section>`}`;
}
