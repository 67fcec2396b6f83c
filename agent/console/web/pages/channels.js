// @ts-check
// The ways on which people and things are told: WeCom, text messages, mail, a
// webhook, a siren. A secret is never shown; each can be tried at once.
import { html, useState } from '../html.js';
import { t, wordFor } from '../words/words.js';
import { newKey, post, Problem, put, remove } from '../state/api.js';
import { Dialog } from '../ui/dialog.js';
import { Check, Field, Form } from '../ui/form.js';
import { SeverityField } from '../ui/hours.js';
import { LoadProblem, useLoad } from '../ui/load.js';
import { RemoveButton } from '../ui/remove.js';
import { secretMask } from './camera-dialog.js';

/** @typedef {any} Channel */

const kinds = ['wecom-robot', 'wecom-app', 'sms', 'mail', 'webhook', 'mqtt'];
/** Kinds that are asked for an address when they are tried. */
const addressed = new Set(['wecom-app', 'sms', 'mail']);
const beginnings = /** @type {Record<string, any>} */ ({
  'wecom-robot': { url: 'https://qyapi.weixin.qq.com' },
  'wecom-app': { url: 'https://qyapi.weixin.qq.com' },
  sms: { request: { type: 'form', fields: { mobile: '{to}', content: '{text}' } } },
  mqtt: { siren: { broker: 'embedded', topic: 'siren/hall', on: 'ON', off: 'OFF' } },
});

export function Channels() {
  const { data, problem, again } = useLoad('/channels');
  const [editing, setEditing] = useState(/** @type {Channel|null} */ (null));
  /** @type {Channel[]} */
  const list = data?.channels ?? [];
  return html`<p class="lead">${t('channels.lead')}</p><${LoadProblem} problem=${problem} again=${again} />
    ${data && !list.length && html`<section class="card"><p>${t('channels.none')}</p></section>`}
    ${list.length > 0 && html`<ul class="card steplist">${list.map((c) => html`<li key=${c.id} class=${c.disabled ? 'off' : ''} data-testid="channel"><div><b>${c.name}</b><i class="tag">${wordFor(`channel.${c.kind}`) || c.kind}</i>${c.disabled && html`<span class="tab">${t('account.disabled')}</span>`}
      <p class="typed">${c.url || c.siren?.topic}</p>${(c.always ?? []).length > 0 && html`<p class="note">${t('channels.always', { list: c.always.map((/** @type {any} */ s) => wordFor(`severity.${s}`)).join(t('comma')) })}</p>`}<${Test} channel=${c} /></div>
      <button type="button" class="btn quiet" onClick=${() => setEditing(c)}>${t('change')}</button></li>`)}</ul>`}
    <p class="below row">${kinds.map((k) => html`<button type="button" class="btn" key=${k} data-testid=${`channel-add-${k}`} onClick=${() => setEditing({ id: '', name: wordFor(`channel.${k}`), kind: k, ...beginnings[k] })}>＋ ${wordFor(`channel.${k}`)}</button>`)}</p>
    ${editing && html`<${ChannelDialog} channel=${editing} onClose=${() => {
      setEditing(null);
      again();
    }} />`}`;
}

/** @param {{channel: Channel}} props */
function Test({ channel }) {
  const [to, setTo] = useState('');
  const [open, setOpen] = useState(false);
  const [busy, setBusy] = useState(false);
  const [said, setSaid] = useState(/** @type {{good: boolean, state: string, more: string}|null} */ (null));
  const needs = addressed.has(channel.kind);
  const send = async (/** @type {Event} */ e) => {
    e.preventDefault();
    if (needs && !open) return setOpen(true);
    setBusy(true);
    try {
      const r = await post(`/channels/${encodeURIComponent(channel.id)}/test`, { to: to.trim() }, { 'Idempotency-Key': newKey() });
      setSaid({ good: r.state !== 'failed', state: r.state, more: [r.problem?.detail ?? r.problem?.message, r.problem?.hint].filter(Boolean).join(' ') });
    } catch (err) {
      setSaid({ good: false, state: '', more: err instanceof Problem ? `${err.message} ${err.hint}` : String(err) });
    } finally {
      setBusy(false);
    }
  };
  return html`<form class="row trytest" onSubmit=${send}>${open && html`<input value=${to} required placeholder=${wordFor(`address.${channel.kind}`)} aria-label=${wordFor(`address.${channel.kind}`)} onInput=${(/** @type {any} */ e) => setTo(e.currentTarget.value)} />`}
    <button type="submit" class="btn quiet" disabled=${busy} data-testid="channel-test">${t(busy ? 'busy' : 'channels.test')}</button>
    ${said && html`<span role="status" class=${said.good ? 'good' : 'warn'} data-testid="channel-tested">${said.state ? wordFor(`telling.${said.state}`) || said.state : ''} <span class="typed">${said.more}</span></span>`}</form>`;
}

/** "mobile = {to}" by lines @param {Record<string, string>|undefined} fields */
const linesOf = (fields) => Object.entries(fields ?? {}).map(([k, v]) => `${k} = ${v}`).join('\n');
/** @param {string} text */
const fieldsOf = (text) => Object.fromEntries(text.split('\n').map((l) => l.split('=')).filter((p) => p[0].trim()).map(([k, ...v]) => [k.trim(), v.join('=').trim()]));

/** @param {{channel: Channel, onClose: () => void}} props */
function ChannelDialog({ channel, onClose }) {
  const fresh = channel.id === '';
  const [c, setC] = useState(channel);
  const [secret, setSecret] = useState('');
  const [fields, setFields] = useState(linesOf(channel.request?.fields));
  const [headers, setHeaders] = useState(linesOf(channel.request?.headers));
  /** @param {any} part */
  const change = (part) => setC({ ...c, ...part });
  /** @param {any} part */
  const request = (part) => change({ request: { ...c.request, ...part } });
  /** @param {any} part */
  const siren = (part) => change({ siren: { ...c.siren, ...part } });
  const send = async () => {
    const id = fresh ? `ch-${newKey().slice(0, 8)}` : c.id;
    const ask = c.kind === 'sms' ? { ...c.request, fields: c.request?.type === 'json' ? undefined : fieldsOf(fields), headers: fieldsOf(headers) } : undefined;
    await put(`/channels/${encodeURIComponent(id)}`, { ...c, id, name: c.name.trim(), url: (c.url ?? '').trim(), request: ask, secret: secret || (c.hasSecret ? secretMask : '') });
    onClose();
  };
  const drop = async () => {
    await remove(`/channels/${encodeURIComponent(c.id)}`);
    onClose();
  };
  const text = (/** @type {string} */ key, /** @type {string} */ label, /** @type {any} */ more = {}) => html`<${Field} label=${label} value=${String(c[key] ?? '')} onValue=${(/** @type {string} */ v) => change({ [key]: v })} name=${key} spellcheck=${false} ...${more} />`;
  return html`<${Dialog} title=${fresh ? wordFor(`channel.${c.kind}`) : c.name} wide testid="channel-dialog" onClose=${onClose}>
    <${Form} submit=${t('save')} onSubmit=${send} onCancel=${onClose} extra=${!fresh && html`<${RemoveButton} onRemove=${drop} /><span class="grow"></span>`}>
      ${text('name', t('camera.name'), { required: true, autofocus: true, maxlength: '60' })}
      ${c.kind !== 'mqtt' && text('url', t('broker.url'), { required: true, placeholder: c.kind === 'mail' ? 'smtps://mail.example.cn:465' : 'https://…', hint: wordFor(`channel.${c.kind}.url`) })}
      ${c.kind === 'wecom-app' && html`<div class="two">${text('username', t('channels.corp'), { required: true })}<${Field} label=${t('channels.agent')} value=${String(c.agent ?? '')} onValue=${(/** @type {string} */ v) => change({ agent: Number(v) || 0 })} name="agent" inputmode="numeric" required /></div>`}
      ${c.kind === 'mail' && html`<div class="two">${text('username', t('login.account'))}${text('from', t('channels.from'), { required: true })}</div>`}
      ${c.kind === 'sms' && html`<div class="two"><${Field} label=${t('channels.body')} value=${c.request?.type ?? 'form'} onValue=${(/** @type {string} */ v) => request({ type: v })} name="type" options=${[['form', t('channels.body.form')], ['json', 'JSON']]} /><${Field} label=${t('channels.method')} value=${c.request?.method || 'POST'} onValue=${(/** @type {string} */ v) => request({ method: v })} name="method" options=${[['POST', 'POST'], ['GET', 'GET']]} /></div>
        ${c.request?.type === 'json' ? html`<${Field} label="JSON" rows=${4} value=${c.request?.body ?? ''} onValue=${(/** @type {string} */ v) => request({ body: v })} name="body" hint=${t('channels.places')} spellcheck=${false} />` : html`<${Field} label=${t('channels.fields')} rows=${3} value=${fields} onValue=${setFields} name="fields" hint=${t('channels.places')} spellcheck=${false} />`}
        <${Field} label=${t('channels.headers')} rows=${2} value=${headers} onValue=${setHeaders} name="headers" spellcheck=${false} />
        <div class="two"><${Field} label=${t('channels.success')} hint=${t('channels.success.hint')} value=${c.request?.field ?? ''} onValue=${(/** @type {string} */ v) => request({ field: v })} name="field" /><${Field} label=${t('channels.success.value')} value=${c.request?.value ?? ''} onValue=${(/** @type {string} */ v) => request({ value: v })} name="value" /></div>`}
      ${c.kind === 'mqtt'
        ? html`<div class="two"><${Field} label=${t('sensor.broker')} value=${c.siren?.broker ?? ''} onValue=${(/** @type {string} */ v) => siren({ broker: v })} name="broker" required /><${Field} label=${t('sensor.topic')} value=${c.siren?.topic ?? ''} onValue=${(/** @type {string} */ v) => siren({ topic: v })} name="topic" required /></div>
          <div class="two"><${Field} label=${t('channels.on')} value=${c.siren?.on ?? ''} onValue=${(/** @type {string} */ v) => siren({ on: v })} name="on" required /><${Field} label=${t('channels.off')} value=${c.siren?.off ?? ''} onValue=${(/** @type {string} */ v) => siren({ off: v })} name="off" required /></div>`
        : html`<${Field} label=${wordFor(`channel.${c.kind}.secret`) || t('login.password')} type="password" value=${secret} onValue=${setSecret} name="secret" autocomplete="new-password" placeholder=${c.hasSecret ? t('secret.kept') : ''} />`}
      <${SeverityField} label=${t('channels.alwaysField')} hint=${t('channels.always.hint')} value=${c.always ?? []} onValue=${(/** @type {string[]} */ v) => change({ always: v })} />
      ${c.kind !== 'mqtt' && html`<details><summary>${t('channels.authority')}</summary>${text('authority', t('channels.authority'), { rows: 3, hint: t('channels.authority.hint') })}</details>`}
      <${Check} label=${t('channels.disabled')} checked=${!!c.disabled} onValue=${(/** @type {boolean} */ v) => change({ disabled: v })} name="disabled" />
    <//>
  <//>`;
}
