// @ts-check
// A centre's rules at its stations: who has which version, who waits for it, who
// has refused it and why. And at a station: what of that is taken.
import { html, useEffect, useState } from '../html.js';
import { classWord, t, wordFor } from '../words/words.js';
import { when } from '../words/times.js';
import { newKey, post, put } from '../state/api.js';
import { now } from '../state/clock.js';
import { nodes } from '../state/store.js';
import { Check, Field, Form } from '../ui/form.js';
import { LoadProblem, useLoad } from '../ui/load.js';
import { RemoveButton } from '../ui/remove.js';

/** @typedef {import('../records.js').TemplatePush} Push */

const lookAgain = 3000; // ms, while something is on its way

/** Why a station has refused, in the reader's language. @param {Push} x */
function refusal(x) {
  const p = x.problem;
  if (!p) return '';
  return wordFor(`problem.${p.code}`, p.args ?? {}).replace(/[：:]\s*$/, '') || p.message || '';
}

/** @param {Push|undefined} x @param {number} version the newest */
function standing(x, version) {
  if (!x) return { text: t('push.none'), tone: '' };
  if (x.state === 'waiting') return { text: x.withdraw ? t('push.waiting.back', { time: when(x.at, now.value) }) : t('push.waiting', { n: x.version, time: when(x.at, now.value) }), tone: '' };
  if (x.state === 'refused') return { text: `${t('push.refused')}${refusal(x) ? ` · ${refusal(x)}` : ''}`, tone: 'warn' };
  if (x.withdraw) return { text: t('push.done.back', { time: when(x.stateAt, now.value) }), tone: '' };
  if (x.local) return { text: t(x.local.removed ? 'push.local.removed' : 'push.local', { name: x.local.name, time: when(x.local.at, now.value) }), tone: 'warn' };
  return (x.accepted ?? 0) < version ? { text: t('push.done.old', { n: x.accepted }), tone: 'warn' } : { text: t('push.done', { n: x.accepted, time: when(x.acceptedAt, now.value) }), tone: 'good' };
}

/** @param {{template: {id: string, version?: number}}} props */
export function Pushes({ template }) {
  const path = `/rule-templates/${encodeURIComponent(template.id)}/pushes`;
  const { data, problem, again } = useLoad(path);
  /** @type {Push[]} */
  const rows = data?.pushes ?? [];
  const waiting = rows.some((x) => x.state === 'waiting');
  useEffect(() => {
    if (!waiting) return;
    const timer = setInterval(again, lookAgain);
    return () => clearInterval(timer);
  }, [waiting]);
  const version = template.version ?? 0;
  /** @param {any} order */
  const wish = async (order) => {
    await post(path, order, { 'Idempotency-Key': newKey() });
    again();
  };
  const list = [...nodes.value.values()].sort((a, b) => a.name.localeCompare(b.name, 'zh'));
  return html`<section class="card below" data-testid="pushes"><h2>${t('push.title')}</h2><p class="note">${t('push.lead', { n: version })}</p><${LoadProblem} problem=${problem} again=${again} />
    ${!list.length && html`<p>${t('push.empty')}</p>`}
    <ul class="rows">${list.map((n) => {
      const x = rows.find((r) => r.node === n.id);
      const s = standing(x, version);
      const over = x?.state === 'refused' && x.problem?.place?.startsWith('rule-template/') ? x.problem.place : '';
      const has = !!x && !x.withdraw && (x.accepted ?? 0) > 0;
      const current = x?.state === 'done' && !x.withdraw && !x.local && x.accepted === version;
      return html`<li key=${n.id} class="wraps" data-testid="push-row" data-node=${n.id} data-state=${x?.state ?? 'none'}><div class="grow"><b>${n.name || n.id}</b> <small class=${n.online ? '' : 'warn'}>${n.online ? '' : t('push.away')}</small><div class=${s.tone}>${s.text}</div></div>
        ${over
          ? html`<${RemoveButton} key="over" testid="push-over" what=${t('push.over')} sure=${t('push.over.sure')} onRemove=${() => wish({ nodes: [n.id], over })} />`
          : !current && x?.state !== 'waiting' && html`<${RemoveButton} key="push" testid="push-one" what=${t('push.one')} sure=${t('push.one.sure')} onRemove=${() => wish({ nodes: [n.id] })} />`}
        ${has && x.state !== 'waiting' && html`<${RemoveButton} key="back" testid="push-back" what=${t('push.back')} sure=${t('push.back.sure')} onRemove=${() => wish({ nodes: [n.id], withdraw: true })} />`}</li>`;
    })}</ul>
    ${list.length > 0 && html`<${Form} submit=${t('push.all')} testid="push-all" onSubmit=${() => wish({ all: true })} />${data?.all && html`<p class="note">${t('push.all.on')}</p>`}`}</section>`;
}

const classes = ['smoke', 'gas', 'water', 'sos', 'manhole', 'door', 'motion', 'temperature', 'level', 'other'];

/** What of the centre's rules is taken here. */
export function Policy() {
  const { data, problem, again } = useLoad('/rule-policy');
  const [p, setP] = useState(/** @type {{refuse?: boolean, classes?: string[], why?: string}|null} */ (null));
  const [saved, setSaved] = useState(false);
  useEffect(() => {
    if (data) setP(data);
  }, [data]);
  if (!p) return html`<${LoadProblem} problem=${problem} again=${again} />`;
  /** @param {any} part */
  const change = (part) => {
    setSaved(false);
    setP({ ...p, ...part });
  };
  const chosen = p.refuse ? 'none' : p.classes ? 'some' : 'take';
  const send = async () => {
    await put('/rule-policy', { refuse: !!p.refuse, classes: p.refuse ? [] : (p.classes ?? []), why: (p.why ?? '').trim() });
    again();
    setSaved(true);
  };
  const some = p.classes ?? [];
  return html`<section class="card narrow below" data-testid="rule-policy"><h2>${t('policy.title')}</h2><p class="note">${t('policy.lead')}</p>
    <${Form} submit=${t('save')} onSubmit=${send} testid="policy-form" extra=${saved && html`<span class="good" role="status">${t('saved')}</span><span class="grow"></span>`}>
      <div class="segments" role="radiogroup" aria-label=${t('policy.title')}>${/** @type {const} */ (['take', 'some', 'none']).map((v) => html`<button type="button" role="radio" key=${v} aria-checked=${chosen === v} data-testid=${`policy-${v}`}
        onClick=${() => change({ refuse: v === 'none', classes: v === 'some' ? some : undefined })}>${t(`policy.${v}`)}</button>`)}</div>
      ${chosen === 'some' && html`<div class="checks">${classes.map((c) => html`<${Check} key=${c} label=${classWord(c)} checked=${some.includes(c)} onValue=${(/** @type {boolean} */ on) => change({ classes: on ? [...some, c] : some.filter((x) => x !== c) })} />`)}</div>`}
      ${chosen !== 'take' && html`<${Field} label=${t('policy.why')} value=${p.why ?? ''} onValue=${(/** @type {string} */ v) => change({ why: v })} name="why" maxlength="200" />`}
    <//></section>`;
}
