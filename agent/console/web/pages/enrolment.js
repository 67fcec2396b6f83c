// @ts-check
// At a centre: who may come in below. A code for each station, what became of it,
// and how a station is shut out.
import { html, useState } from '../html.js';
import { t, wordFor } from '../words/words.js';
import { when } from '../words/times.js';
import { newKey, post, remove } from '../state/api.js';
import { now } from '../state/clock.js';
import { Field, Form } from '../ui/form.js';
import { LoadProblem, useLoad } from '../ui/load.js';
import { RemoveButton } from '../ui/remove.js';

/** @typedef {import('../records.js').Enrolment} Enrolment */
/** @typedef {import('../records.js').EnrolmentTicket} EnrolmentTicket */

export function Enrolment() {
  const { data, problem, again } = useLoad('/enrolments');
  const [ticket, setTicket] = useState(/** @type {EnrolmentTicket|null} */ (null));
  /** @type {Enrolment[]} */
  const list = data?.enrolments ?? [];
  /** @param {string} node @param {{name?: string, hours?: number}} order */
  const make = async (node, order) => {
    setTicket(await post(`/enrolments/${encodeURIComponent(node)}/code`, order, { 'Idempotency-Key': newKey() }));
    again();
  };
  return html`<p class="lead">${t('enrol.lead')}</p><${LoadProblem} problem=${problem} again=${again} />
    ${ticket && html`<${Ticket} ticket=${ticket} onClose=${() => setTicket(null)} />`}
    ${data && !list.length && !ticket && html`<p class="note">${t('enrol.none')}</p>`}
    ${list.length > 0 && html`<ul class="card steplist narrow below">${list.map((e) => html`<${Row} key=${e.node} e=${e} again=${again} make=${make} />`)}</ul>`}
    ${!ticket && html`<${Maker} make=${make} />`}`;
}

/** @param {{make: (node: string, order: {name?: string, hours?: number}) => Promise<void>}} props */
function Maker({ make }) {
  const [node, setNode] = useState('');
  const [name, setName] = useState('');
  const [hours, setHours] = useState('24');
  return html`<section class="card narrow below"><${Form} submit=${t('enrol.make')} testid="enrol-form" onSubmit=${async () => {
    await make(node.trim(), { name: name.trim(), hours: Number(hours) });
    setNode('');
    setName('');
  }}>
    <${Field} label=${t('enrol.node')} hint=${t('enrol.node.hint')} value=${node} onValue=${setNode} name="node" required maxlength="63" pattern="[a-z0-9\\-]+" autocapitalize="none" autocomplete="off" />
    <${Field} label=${t('enrol.name')} value=${name} onValue=${setName} name="name" maxlength="40" />
    <${Field} label=${t('enrol.hours')} value=${hours} onValue=${setHours} name="hours" options=${['1', '24', '168'].map((h) => [h, wordFor(`enrol.hours.${h}`)])} />
  <//></section>`;
}

/** @param {{ticket: EnrolmentTicket, onClose: () => void}} props */
function Ticket({ ticket, onClose }) {
  return html`<section class="card narrow" data-testid="enrol-ticket"><h2>${t('enrol.code', { node: ticket.node })}</h2>
    <p>${t('enrol.code.how')}</p>
    ${(ticket.addresses ?? []).map((a) => html`<p key=${a}><code data-testid="enrol-line">${a}/${ticket.code}</code></p><p><code>stationd enrol ${a}/${ticket.code}</code></p>`)}
    <p class="note">${t('enrol.code.split')}</p><p><code data-testid="enrol-code">${ticket.code}</code></p>
    <p class="note">${t('enrol.code.once', { time: when(ticket.expires, now.value) })}</p>
    <button type="button" class="btn" data-testid="enrol-noted" onClick=${onClose}>${t('device.noted')}</button></section>`;
}

/** @param {{e: Enrolment, again: () => void, make: (node: string, order: {hours?: number}) => Promise<void>}} props */
function Row({ e, again, make }) {
  const [closing, setClosing] = useState(false);
  const [why, setWhy] = useState('');
  const at = `/enrolments/${encodeURIComponent(e.node)}`;
  const closed = set(e.closedAt);
  const last = (e.certificates ?? []).filter((c) => !set(c.revokedAt)).at(-1);
  const replaced = (e.certificates ?? []).filter((c) => c.revokedWhy === 'replaced').at(-1);
  const state = e.code?.state;
  return html`<li data-testid="enrolment" data-node=${e.node} data-state=${state}><i class="light ${closed ? 'bad' : last && set(last.usedAt) ? 'ok' : 'off'}"></i><div><b>${e.name || e.node}</b> <span class="note">${e.node}</span>
      ${state && html`<p>${wordFor(`enrol.state.${state}`, { time: when(state === 'used' ? e.code?.usedAt : e.code?.expires, now.value), address: e.code?.usedFrom })}</p>`}
      ${closed && html`<p class="warn">${t('enrol.closed', { time: when(e.closedAt, now.value), why: e.closedWhy })}</p>`}
      ${last && html`<p>${set(last.usedAt) ? t('enrol.cert', { time: when(last.expires, now.value) }) : t('enrol.cert.unused')}</p>`}
      ${replaced && html`<p class="note">${t('enrol.cert.replaced', { time: when(replaced.revokedAt, now.value) })}</p>`}
      ${set(e.code?.madeAt) && html`<p class="note">${t('enrol.by', { name: e.code?.byName || e.code?.by, time: when(e.code?.madeAt, now.value) })}</p>`}
      ${closing && html`<${Form} submit=${t('enrol.revoke.do')} testid="revoke-form" onCancel=${() => setClosing(false)} onSubmit=${async () => {
        await post(`${at}/revocation`, { why: why.trim() }, { 'Idempotency-Key': newKey() });
        setClosing(false);
        setWhy('');
        again();
      }}><${Field} label=${t('enrol.revoke.why')} hint=${t('enrol.revoke.hint')} value=${why} onValue=${setWhy} name="why" required maxlength="100" /><//>`}
    </div>
    ${!closing && html`<div class="row end">
      ${state === 'waiting' && html`<${RemoveButton} what=${t('enrol.withdraw')} sure=${t('enrol.withdraw.sure')} testid="enrol-withdraw" onRemove=${async () => {
        await remove(`${at}/code`);
        again();
      }} />`}
      <button type="button" class="btn quiet" data-testid="enrol-again" onClick=${() => make(e.node, { hours: 24 })}>${t('enrol.new')}</button>
      ${!closed && html`<button type="button" class="btn quiet" data-testid="enrol-revoke" onClick=${() => setClosing(true)}>${t('enrol.revoke')}</button>`}
    </div>`}</li>`;
}

/** @param {string} [time] */
const set = (time) => Date.parse(time ?? '') > 0;
