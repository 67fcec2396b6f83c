// @ts-check
// The step cards: what to do, and what never to do, for each kind of alarm, in
// both languages. Who edits sees beside it what the duty room will see.
import { html, useEffect, useState } from '../html.js';
import { kindWord, t } from '../words/words.js';
import { when } from '../words/times.js';
import { put, remove } from '../state/api.js';
import { now } from '../state/clock.js';
import { Steps } from '../desk/steps.js';
import { Form } from '../ui/form.js';
import { LoadProblem, useLoad } from '../ui/load.js';
import { RemoveButton } from '../ui/remove.js';

/** @typedef {import('../records.js').Card} Card */
/** @typedef {import('../records.js').CardText} CardText */

const stepsMost = 8;

export function Cards() {
  const { data, problem, again } = useLoad('/cards');
  const [kind, setKind] = useState('');
  /** @type {Card[]} */
  const list = data?.cards ?? [];
  const card = list.find((c) => c.kind === kind) ?? list[0];
  return html`<p class="lead">${t('cards.lead')}</p><${LoadProblem} problem=${problem} again=${again} />
    <div class="kindtabs" role="radiogroup" aria-label=${t('record.kind')}>${list.map((c) => html`<button type="button" role="radio" class="btn" key=${c.kind} aria-checked=${c === card} data-testid=${`card-${c.kind}`} onClick=${() => setKind(c.kind)}>${c.kind === 'other' ? t('cards.other') : kindWord(c.kind)}</button>`)}</div>
    ${card && html`<${Editor} key=${card.kind + card.version} card=${card} again=${again} />`}`;
}

/** @param {{card: Card, again: () => void}} props */
function Editor({ card, again }) {
  const [text, setText] = useState(card.text);
  const [tongue, setTongue] = useState('zh');
  const [saved, setSaved] = useState(false);
  useEffect(() => setText(card.text), [card]);
  const path = `/cards/${encodeURIComponent(card.kind)}`;
  /** @type {CardText} */
  const one = text[tongue] ?? { steps: [], phones: [] };
  /** @param {Partial<CardText>} part */
  const change = (part) => {
    setSaved(false);
    setText({ ...text, [tongue]: { ...one, ...part } });
  };
  /** @param {number} i @param {any} part */
  const step = (i, part) => change({ steps: one.steps.map((s, n) => (n === i ? { ...s, ...part } : s)) });
  /** @param {number} i @param {any} part */
  const phone = (i, part) => change({ phones: (one.phones ?? []).map((p, n) => (n === i ? { ...p, ...part } : p)) });
  const send = async () => {
    const clean = Object.fromEntries(Object.entries(text).map(([l, x]) => [l, { steps: x.steps.map((s) => ({ ...s, text: s.text.trim() })).filter((s) => s.text), phones: (x.phones ?? []).filter((p) => p.number.trim()) }]));
    await put(path, { kind: card.kind, version: card.version, text: clean });
    setSaved(true);
    again();
  };
  const reset = async () => {
    await remove(path);
    again();
  };
  return html`<div class="cardedit"><section class="card"><${Form} submit=${t('save')} onSubmit=${send} testid="card-form"
        extra=${html`${card.version > 0 && html`<${RemoveButton} onRemove=${reset} what=${t('cards.reset')} sure=${t('cards.reset.sure')} />`}${saved && html`<span class="good" role="status">${t('saved')}</span>`}<span class="grow"></span>`}>
      <div class="segments" role="radiogroup" aria-label=${t('cards.tongue')}>${/** @type {[string, string][]} */ ([['zh', t('cards.zh')], ['en', t('cards.en')]]).map(([l, word]) => html`<button type="button" role="radio" key=${l} aria-checked=${l === tongue} onClick=${() => setTongue(l)}>${word}</button>`)}</div>
      <fieldset class="field below"><legend>${t('cards.steps')}</legend>${one.steps.map((s, i) => html`<div class="steprow" key=${i}>
        <input value=${s.text} maxlength="120" aria-label=${t('cards.step', { n: i + 1 })} onInput=${(/** @type {any} */ e) => step(i, { text: e.currentTarget.value })} />
        <label class="dont"><input type="checkbox" checked=${!!s.dont} onChange=${(/** @type {any} */ e) => step(i, { dont: e.currentTarget.checked })} />${t('cards.dont')}</label>
        <button type="button" class="btn quiet" aria-label=${t('up')} disabled=${i === 0} onClick=${() => change({ steps: [...one.steps.slice(0, i - 1), s, one.steps[i - 1], ...one.steps.slice(i + 1)] })}>↑</button>
        <button type="button" class="btn quiet" aria-label=${t('remove')} onClick=${() => change({ steps: one.steps.filter((_, n) => n !== i) })}>✕</button></div>`)}
        ${one.steps.length < stepsMost && html`<button type="button" class="btn quiet" onClick=${() => change({ steps: [...one.steps, { text: '' }] })}>＋ ${t('cards.more')}</button>`}</fieldset>
      <fieldset class="field"><legend>${t('cards.phones')}</legend>${(one.phones ?? []).map((p, i) => html`<div class="steprow" key=${i}>
        <input value=${p.label} maxlength="20" placeholder=${t('cards.label')} aria-label=${t('cards.label')} onInput=${(/** @type {any} */ e) => phone(i, { label: e.currentTarget.value })} />
        <input value=${p.number} maxlength="20" inputmode="tel" placeholder=${t('people.phone')} aria-label=${t('people.phone')} onInput=${(/** @type {any} */ e) => phone(i, { number: e.currentTarget.value })} />
        <button type="button" class="btn quiet" aria-label=${t('remove')} onClick=${() => change({ phones: (one.phones ?? []).filter((_, n) => n !== i) })}>✕</button></div>`)}
        <button type="button" class="btn quiet" onClick=${() => change({ phones: [...(one.phones ?? []), { label: '', number: '' }] })}>＋ ${t('cards.phone.more')}</button></fieldset><//>
      <p class="note">${card.version > 0 ? t('cards.version', { n: card.version, name: card.name || card.by, time: when(card.at, now.value) }) : t('cards.shipped')}</p></section>
    <aside class="typed"><${Steps} kind=${card.kind} card=${{ ...card, text: { zh: one, en: one } }} /></aside></div>`;
}
