// @ts-check
// Who did what, when, and what came of it.
import { html, useEffect, useState } from '../html.js';
import { answerWord, kindWord, roleWord, t, wordFor } from '../words/words.js';
import { stamp } from '../words/times.js';
import { get, Problem } from '../state/api.js';
import { alarms, cameraRow, plans, sensorRow } from '../state/store.js';

/** @typedef {import('../records.js').Audit} Row */

const perPage = 100;
/** Names that the console drew itself say nothing to anybody. */
const drawn = /^[a-z]+-[0-9a-f]{8}$/;

/** What a row is about, by name where it is known: "camera/gate" is "摄像机 小区北门". @param {string} path */
function subject(path) {
  const at = path.indexOf('/');
  if (at < 0) return wordFor(`subject.${path}`) || path;
  const kind = path.slice(0, at);
  const id = path.slice(at + 1);
  const label = wordFor(`subject.${kind}`);
  if (!label) return path;
  const alarm = kind === 'alarm' ? alarms.value.get(id) : null;
  if (alarm) return `${kindWord(alarm.kind)} ${alarm.place || alarm.name}`;
  const name = kind === 'camera' ? cameraRow(id)?.camera.name : kind === 'sensor' ? sensorRow(id)?.sensor.name : kind === 'plan' ? plans.value.get(id)?.name : '';
  return [label, name || (drawn.test(id) ? '' : id)].filter(Boolean).join(' ');
}

/** "role admin", "disabled", "new password" @param {string} part */
const accountWord = (part) => (part.startsWith('role ') ? roleWord(part.slice(5)) : wordFor(`account.put.${part}`) || part);

/** "for 10 minutes", "2 people" @param {string} text */
function phrase(text) {
  const minutes = /^for (\d+) minutes?$/.exec(text);
  if (minutes) return t('detail.minutes', { n: minutes[1] });
  const people = /^(\d+) people$/.exec(text);
  if (people) return t('detail.people', { n: people[1] });
  return wordFor(`telling.${text}`) || wordFor(`mode.${text}`) || text;
}

/** What was done more exactly; a refusal's own sentence only where the result has no word. @param {Row} r */
function detail(r) {
  if (r.result === 'ok' && r.action === 'alarm.answer') return answerWord(r.detail ?? '') || r.detail;
  if (r.result === 'ok' && r.action === 'account.put') return (r.detail ?? '').split(', ').map(accountWord).join(t('comma'));
  return r.result !== 'ok' && wordFor(`problem.${r.result}`) ? '' : phrase(r.detail ?? '');
}

export function AuditPage() {
  const [rows, setRows] = useState(/** @type {Row[]} */ ([]));
  const [more, setMore] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(/** @type {Problem|null} */ (null));
  /** @param {Row[]} before */
  const load = async (before) => {
    setBusy(true);
    try {
      const last = before[before.length - 1];
      const page = await get(`/audit?limit=${perPage}${last ? `&before=${last.seq}` : ''}`);
      setRows([...before, ...(page.rows ?? [])]);
      setMore((page.rows ?? []).length === perPage);
      setProblem(null);
    } catch (err) {
      if (err instanceof Problem) setProblem(err);
      else throw err;
    } finally {
      setBusy(false);
    }
  };
  useEffect(() => {
    load([]);
  }, []);
  return html`<main class="page"><div class="head"><h1>${t('nav.audit')}</h1></div>
    ${problem && html`<p class="problem" role="alert"><strong>${problem.message}</strong> ${problem.hint}</p>`}
    ${rows.length > 0 && html`<table class="list card"><thead><tr><th>${t('record.time')}</th><th>${t('audit.who')}</th><th>${t('audit.what')}</th><th>${t('audit.subject')}</th><th>${t('audit.result')}</th></tr></thead>
      <tbody>${rows.map((r) => html`<tr key=${r.seq} data-testid="audit-row"><td><time>${stamp(r.at)}</time></td>
        <td><b>${r.actor.account === 'system' ? t('audit.system') : r.actor.name || r.actor.account || t('audit.stranger')}</b>${r.actor.address && html`<small>${r.actor.address}</small>`}</td>
        <td>${wordFor(`action.${r.action}`) || r.action}</td><td>${subject(r.subject)}${detail(r) && html`<small class="typed">${detail(r)}</small>`}</td>
        <td>${r.result === 'ok' ? t('audit.ok') : wordFor(`problem.${r.result}`) || r.result}</td></tr>`)}</tbody></table>`}
    ${more && html`<p class="more"><button type="button" class="btn" disabled=${busy} onClick=${() => load(rows)}>${t(busy ? 'busy' : 'records.more')}</button></p>`}
  </main>`;
}
