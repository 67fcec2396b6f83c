// @ts-check
// The rules of each class of device: what the program heeds by itself, and the
// station's own in their place. Every change is a version; every alarm names the
// one that raised it.
import { html, useEffect, useState } from '../html.js';
import { classWord, t } from '../words/words.js';
import { when } from '../words/times.js';
import { newKey, put, remove } from '../state/api.js';
import { now } from '../state/clock.js';
import { Field, Form } from '../ui/form.js';
import { LoadProblem, useLoad } from '../ui/load.js';
import { RemoveButton } from '../ui/remove.js';
import { ruleWords } from '../words/rules.js';
import { served } from '../state/served.js';
import { centre } from '../state/session.js';
import { RuleForms, useFields } from './rule-form.js';
import { ParentPolicy } from './parent-policy.js';
import { Policy, Pushes } from './rule-push.js';

/** @typedef {import('../records.js').Rule} Rule */
/** @typedef {{id: string, name: string, class: string, rules?: Rule[], version?: number, by?: string, byName?: string, at?: string, note?: string, from?: {template: string, version: number, by: string}|null}} Template */

const classes = ['smoke', 'gas', 'water', 'sos', 'manhole', 'door', 'motion', 'temperature', 'level', 'other'];

export function Rules() {
  const { data, problem, again } = useLoad('/rule-templates');
  const [cls, setCls] = useState('temperature');
  /** @type {Template[]} */
  const list = data?.templates ?? [];
  const template = list.find((x) => x.class === cls);
  return html`<p class="lead">${t('rules.lead')}</p><${LoadProblem} problem=${problem} again=${again} />
    <div class="kindtabs" role="radiogroup" aria-label=${t('sensor.class')}>${classes.map((c) => html`<button type="button" role="radio" class="btn" key=${c} aria-checked=${c === cls} data-testid=${`rules-${c}`} onClick=${() => setCls(c)}>${classWord(c)}${list.some((x) => x.class === c) ? ' ●' : ''}</button>`)}</div>
    ${data && html`<${OneClass} key=${cls + (template?.version ?? 0)} cls=${cls} template=${template} again=${again} />`}
    ${served('/rule-policy') && html`<${Policy} />`}${served('/parent-policy') && !centre.value && html`<${ParentPolicy} />`}`;
}

/** @param {{cls: string, template: Template|undefined, again: () => void}} props */
function OneClass({ cls, template, again }) {
  const { defaults } = useFields(cls);
  const [rules, setRules] = useState(/** @type {Rule[]|null} */ (template ? (template.rules ?? []) : null));
  const [note, setNote] = useState('');
  const [saved, setSaved] = useState(false);
  useEffect(() => setSaved(false), [rules]);
  const send = async () => {
    const id = template?.id ?? `t-${cls}-${newKey().slice(0, 4)}`;
    await put(`/rule-templates/${encodeURIComponent(id)}`, { id, name: template?.name || classWord(cls), class: cls, rules: rules ?? [], version: template?.version, note: note.trim() });
    setNote('');
    again();
    setSaved(true);
  };
  const drop = async () => {
    await remove(`/rule-templates/${encodeURIComponent(template?.id ?? '')}`);
    again();
  };
  return html`<div class="cardedit"><div><section class="card">
      ${rules === null
        ? html`<p>${t('rules.builtin')}</p><p class="below"><button type="button" class="btn" data-testid="rules-own" onClick=${() => setRules(defaults.map((r) => ({ ...r, id: `r-${newKey().slice(0, 8)}` })))}>${t('rules.change')}</button></p>`
        : html`<${Form} submit=${t('save')} onSubmit=${send} testid="rules-form" extra=${html`${template && html`<${RemoveButton} onRemove=${drop} what=${t('rules.back')} sure=${t('cards.reset.sure')} />`}${saved && html`<span class="good" role="status">${t('saved')}</span>`}<span class="grow"></span>`}>
            <${RuleForms} rules=${rules} onRules=${setRules} cls=${cls} /><${Field} label=${t('rules.note')} value=${note} onValue=${setNote} name="note" maxlength="200" /><//>
          ${template?.version && html`<p class="note">${t('cards.version', { n: template.version, name: template.byName || template.by, time: when(template.at, now.value) })}${template.note ? ` · ${template.note}` : ''}</p>`}`}
      ${template?.from && html`<p class="note">${t('push.from', { by: template.from.by, n: template.from.version })}</p>`}
      </section>${template?.version && served('/rule-templates/{id}/pushes') && html`<${Pushes} template=${template} />`}</div>
    <aside><section class="card"><h2>${t('rules.usual')}</h2>${defaults.length === 0 && html`<p class="note">${t('rules.none')}</p>`}<ul class="rows">${defaults.map((r, i) => html`<li key=${i}><div>${ruleWords(r)}</div></li>`)}</ul></section></aside></div>`;
}
