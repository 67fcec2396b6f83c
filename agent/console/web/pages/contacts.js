// @ts-check
// Who is told when nobody at the desk answers: in which order, at which hours, by
// which ways, and how long each has to answer.
import { html, useState } from '../html.js';
import { t, wordFor } from '../words/words.js';
import { span } from '../words/times.js';
import { newKey, put, remove } from '../state/api.js';
import { may } from '../state/session.js';
import { phone } from '../desk/people.js';
import { Dialog } from '../ui/dialog.js';
import { Field, Form } from '../ui/form.js';
import { HoursField, hoursWords } from '../ui/hours.js';
import { LoadProblem, useLoad } from '../ui/load.js';
import { RemoveButton } from '../ui/remove.js';

/** @typedef {import('../records.js').Contact} Contact */

const waits = [30, 60, 120, 300, 600];

export function Contacts() {
  const { data, problem, again } = useLoad('/contacts');
  const { data: ways } = useLoad('/channels');
  const [editing, setEditing] = useState(/** @type {Contact|null} */ (null));
  /** @type {Contact[]} */
  const list = [...(data?.contacts ?? [])].sort((a, b) => a.order - b.order);
  /** @type {any[]} */
  const channels = ways?.channels ?? [];
  /** @param {string} id */
  const channelName = (id) => channels.find((c) => c.id === id)?.name || id;
  /** Puts a contact one place further up. @param {number} i */
  const up = async (i) => {
    const order = [...list];
    [order[i - 1], order[i]] = [order[i], order[i - 1]];
    for (const [n, c] of order.entries()) if (c.order !== n + 1) await put(`/contacts/${encodeURIComponent(c.id)}`, { ...c, order: n + 1 });
    again();
  };
  return html`<p class="lead">${t('contacts.lead')}</p><${LoadProblem} problem=${problem} again=${again} />
    ${data && !list.length && html`<section class="card"><p>${t('contacts.none')}</p></section>`}
    ${list.length > 0 && html`<ol class="card steplist">${list.map((c, i) => html`<li key=${c.id} data-testid="contact"><i class="num">${i + 1}</i><div><b>${c.name}</b> ${c.phone && html`<span class="tab">${phone(c.phone)}</span>`}
      <p>${c.channels.map((w) => [channelName(w.channel), w.address].filter(Boolean).join(' ')).join(t('comma')) || t('contacts.noWay')}</p><p class="note">${hoursWords(c.hours)} · ${t('contacts.wait', { span: span(c.waitSeconds * 1000) })}</p></div>
      ${i > 0 && html`<button type="button" class="btn quiet" aria-label=${t('up')} title=${t('up')} onClick=${() => up(i)}>↑</button>`}<button type="button" class="btn quiet" onClick=${() => setEditing(c)}>${t('change')}</button></li>`)}</ol>`}
    <p class="below"><button type="button" class="btn ${list.length ? '' : 'go'}" data-testid="contact-add" onClick=${() => setEditing({ id: '', name: '', channels: [], order: list.length + 1, waitSeconds: 60 })}>＋ ${t('contacts.add')}</button></p>
    ${editing && html`<${ContactDialog} contact=${editing} channels=${channels} onClose=${() => {
      setEditing(null);
      again();
    }} />`}`;
}

/** @param {{contact: Contact, channels: any[], onClose: () => void}} props */
function ContactDialog({ contact, channels, onClose }) {
  const fresh = contact.id === '';
  const accounts = useLoad(may('accounts') ? '/accounts' : '/session').data?.accounts ?? [];
  const [c, setC] = useState(contact);
  /** @param {Partial<Contact>} part */
  const change = (part) => setC({ ...c, ...part });
  const send = async () => {
    const id = fresh ? `c-${newKey().slice(0, 8)}` : c.id;
    await put(`/contacts/${encodeURIComponent(id)}`, { ...c, id, name: c.name.trim(), channels: c.channels.filter((w) => w.channel).map((w) => ({ channel: w.channel, address: w.address?.trim() ?? '' })) });
    onClose();
  };
  const drop = async () => {
    await remove(`/contacts/${encodeURIComponent(c.id)}`);
    onClose();
  };
  /** @param {number} i @param {any} part */
  const way = (i, part) => change({ channels: c.channels.map((w, n) => (n === i ? { ...w, ...part } : w)) });
  return html`<${Dialog} title=${fresh ? t('contacts.add') : c.name} wide testid="contact-dialog" onClose=${onClose}>
    <${Form} submit=${t('save')} onSubmit=${send} onCancel=${onClose} extra=${!fresh && html`<${RemoveButton} onRemove=${drop} /><span class="grow"></span>`}>
      <div class="two"><${Field} label=${t('claim.name')} value=${c.name} onValue=${(/** @type {string} */ v) => change({ name: v })} name="name" required autofocus maxlength="40" />
      <${Field} label=${t('people.phone')} value=${c.phone ?? ''} onValue=${(/** @type {string} */ v) => change({ phone: v })} name="phone" inputmode="tel" /></div>
      <div class="two">${accounts.length > 0 && html`<${Field} label=${t('login.account')} hint=${t('contacts.account.hint')} value=${c.account ?? ''} onValue=${(/** @type {string} */ v) => change({ account: v })} name="account" options=${[['', '–'], ...accounts.map((/** @type {any} */ a) => [a.account, a.name || a.account])]} />`}
      <${Field} label=${t('contacts.waitField')} value=${String(c.waitSeconds)} onValue=${(/** @type {string} */ v) => change({ waitSeconds: Number(v) })} name="wait" options=${[...new Set([...waits, c.waitSeconds])].map((n) => [String(n), span(n * 1000)])} /></div>
      <fieldset class="field"><legend>${t('contacts.ways')}</legend>
        ${channels.length === 0 && html`<p class="hint">${t('contacts.noChannels')}</p>`}
        ${c.channels.map((w, i) => html`<div class="wayrow" key=${i}><select aria-label=${t('setup.channels')} value=${w.channel} onChange=${(/** @type {any} */ e) => way(i, { channel: e.currentTarget.value })}>${channels.map((x) => html`<option value=${x.id} selected=${x.id === w.channel}>${x.name}</option>`)}</select>
          <input aria-label=${t('contacts.address')} placeholder=${addressHint(channels.find((x) => x.id === w.channel)?.kind)} value=${w.address ?? ''} onInput=${(/** @type {any} */ e) => way(i, { address: e.currentTarget.value })} />
          <button type="button" class="btn quiet" aria-label=${t('remove')} onClick=${() => change({ channels: c.channels.filter((_, n) => n !== i) })}>✕</button></div>`)}
        ${channels.length > 0 && html`<button type="button" class="btn quiet" onClick=${() => change({ channels: [...c.channels, { channel: channels[0].id }] })}>＋ ${t('contacts.way')}</button>`}</fieldset>
      <${HoursField} label=${t('contacts.hours')} none=${t('contacts.hours.none')} value=${c.hours ?? []} onValue=${(/** @type {any} */ v) => change({ hours: v })} />
    <//>
  <//>`;
}

/** What an address is on a kind of channel. @param {string|undefined} kind */
const addressHint = (kind) => wordFor(`address.${kind}`);
