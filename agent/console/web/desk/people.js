// @ts-check
// The people behind the sensor, in the order in which they are rung. A call is
// one tap and one more: rung, and reached or not.
import { html, useState } from '../html.js';
import { t, wordFor } from '../words/words.js';
import { hm } from '../words/times.js';
import { logCall } from '../state/deeds.js';
import { may } from '../state/session.js';

/** @typedef {import('../records.js').Alarm} Alarm */
/** @typedef {import('../records.js').AlarmDetail} AlarmDetail */
/** @typedef {import('../records.js').Person} Person */
/** @typedef {import('../records.js').Call} Call */

const most = 4;

/** "self" and "child" as words; a relation of its own stays as it is. @param {string} relation */
export const relationWord = (relation) => wordFor(`relation.${relation}`) || relation;

/** How a person is called in the log of calls. @param {Person} p */
export const personWord = (p) => [relationWord(p.relation), p.name].filter(Boolean).join(' ');

/**
 * How the log has it that was written of them: it goes to the parent, and names
 * nobody (李* of 李四).
 * @param {string} to @param {Person[]} people
 */
export const inLog = (to, people) => people.reduce((text, p) => {
  const name = p.name?.trim() ?? '';
  return [...name].length > 1 ? text.replaceAll(name, [...name][0] + '*') : text;
}, to);

/** @param {{alarm: Alarm, detail: AlarmDetail|null}} props */
export function People({ alarm, detail }) {
  const [open, setOpen] = useState(-1);
  const people = detail?.people;
  const list = (people?.list ?? []).slice(0, most);
  if (!list.length) return null;
  const calls = detail?.response?.calls ?? [];
  const ring = may('answer') && alarm.state !== 'cleared';
  return html`<section class="card people" data-testid="people"><h2>${t('people')}${people?.flat ? ` · ${people.flat}` : ''}</h2>
    <ul>${list.map((p, i) => {
      const to = personWord(p);
      const last = calls.filter((c) => c.to === to || c.to === inLog(to, people?.list ?? [])).pop();
      return html`<li key=${to + p.phone} data-testid="person">
        <span class="whom"><b>${relationWord(p.relation)}</b><small>${[p.name, p.age ? t('people.age', { n: p.age }) : '', p.note].filter(Boolean).join(' · ')}</small></span>
        ${open === i ? null : html`<span class="phone">${phone(p.phone)}</span>`}
        ${ring && html`<${CallKeys} open=${open === i} last=${last} onOpen=${() => setOpen(i)} onDone=${(/** @type {boolean} */ reached) => {
          setOpen(-1);
          logCall(alarm, to, reached);
        }} />`}
      </li>`;
    })}</ul>
  </section>`;
}

/** @param {{open: boolean, last: Call|undefined, onOpen: () => void, onDone: (reached: boolean) => void}} props */
function CallKeys({ open, last, onOpen, onDone }) {
  if (open) {
    return html`<span class="reached" role="group" aria-label=${t('call.result')}>
      <button type="button" class="pill yes" data-testid="call-reached" onClick=${() => onDone(true)}>${t('call.reached')}</button>
      <button type="button" class="pill" data-testid="call-missed" onClick=${() => onDone(false)}>${t('call.missed')}</button></span>`;
  }
  return html`<button type="button" class="pill ${last ? (last.reached ? 'yes' : 'no') : ''}" data-testid="call" onClick=${onOpen}>
    ${last ? `${hm(last.at)} ${t(last.reached ? 'call.reached' : 'call.missed')}` : t('call.log')}</button>`;
}

/** "138 1234 5678": groups that can be read out and dialled. @param {string} number */
export function phone(number) {
  const n = number.replace(/\s+/g, '');
  return /^1[\d*]{10}$/.test(n) ? `${n.slice(0, 3)} ${n.slice(3, 7)} ${n.slice(7)}` : number;
}
