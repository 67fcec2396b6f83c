// @ts-check
// What, where, since when: legible at three metres. Red until somebody has
// answered, soft while it lasts, plain when it is over.
import { html, useEffect, useState } from '../html.js';
import { kindWord, t } from '../words/words.js';
import { age, hms, span, when } from '../words/times.js';
import { now } from '../state/clock.js';
import { nextLive } from '../state/choice.js';
import { happening, nodeName } from '../state/store.js';
import { insistence } from './insist.js';
import { Marks } from './marks.js';
import { whyWords } from './why.js';

/** @typedef {import('../records.js').Alarm} Alarm */
/** @typedef {import('../records.js').AlarmDetail} AlarmDetail */

const roomy = 22; // signs; a longer place gets the whole width

/** @param {{alarm: Alarm, detail: AlarmDetail|null}} props */
export function Title({ alarm, detail }) {
  const over = alarm.state === 'cleared';
  const raised = Date.parse(alarm.raisedAt);
  const ended = over ? Date.parse(alarm.clearedAt || alarm.lastAt) : 0;
  const place = alarm.place || alarm.name;
  const station = nodeName(alarm.node);
  const others = happening.value.filter((a) => a.id !== alarm.id).length;
  const long = [...station, ...place].length > roomy;
  const insist = insistence(alarm, now.value);
  const why = whyWords(alarm.why);
  return html`<div class="title ${alarm.state} ${alarm.severity} ${long ? 'long' : ''} ${alarm.test ? 'test' : ''} insist${insist}" data-insist=${insist} data-testid="alarm" data-alarm=${alarm.id} data-state=${alarm.state}>
    <div class="what">
      <div class="name"><h1 data-testid="alarm-title">${kindWord(alarm.kind)}</h1><${Marks} alarm=${alarm} /></div>
      <p title=${place}>${station && html`<b class="from">${station}</b>`}${place}</p>
      ${(why || insist > 0) && html`<div class="why">${insist > 0 && html`<b data-testid="unanswered">${t('alarm.unanswered', { span: span(now.value - raised) })}</b>`}${why && html`<span data-testid="why">${t('why', { why })}</span>`}</div>`}
    </div>
    <div class="since">
      <div class="age" data-testid="alarm-age">${over ? span(ended - raised) : age(now.value - raised)}</div>
      <small>${facts(alarm, detail).join(' · ')}</small>
    </div>
    ${others > 0 && html`<button type="button" class="others" onClick=${nextLive}>${t('alarm.others', { n: others })} ›</button>`}
    <${Spoken} alarm=${alarm} place=${place} />
  </div>`;
}

/** @param {Alarm} alarm @param {AlarmDetail|null} detail */
function facts(alarm, detail) {
  const today = new Date(alarm.raisedAt).toDateString() === new Date(now.value).toDateString();
  const list = [t('alarm.raised', { time: today ? hms(alarm.raisedAt) : when(alarm.raisedAt, now.value) })];
  if (alarm.state === 'cleared') list.push(t('alarm.ended', { time: when(alarm.clearedAt, now.value) }));
  else if (alarm.returnedAt) list.push(t('alarm.returned.at', { time: hms(alarm.returnedAt) }));
  if (alarm.deviceTime && Math.abs(alarm.skew ?? 0) > 60e9) list.push(t('alarm.deviceTime', { time: when(alarm.deviceTime, now.value) }));
  if (alarm.count > 1) list.push(t('alarm.count', { n: alarm.count }));
  const sensor = detail?.sensor;
  if (sensor?.state && alarm.kind !== 'offline') {
    const battery = sensor.state.values?.battery;
    const word = t(sensor.state.offline ? 'sensor.silent' : 'sensor.fine');
    list.push(typeof battery === 'number' ? `${word} ${t('battery', { n: Math.round(battery) })}` : word);
  }
  return list;
}

/** Says a new alarm once to those who listen instead of looking. @param {{alarm: Alarm, place: string}} props */
function Spoken({ alarm, place }) {
  const [text, setText] = useState('');
  useEffect(() => {
    if (alarm.state === 'raised') setText(`${kindWord(alarm.kind)}，${place}`);
  }, [alarm.id]);
  return html`<p class="unseen" role="alert">${text}</p>`;
}
