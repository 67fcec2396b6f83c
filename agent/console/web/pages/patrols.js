// @ts-check
// Who watched what when: the rounds of the tours, what was said, and a file of it.
import { html, useEffect, useState } from '../html.js';
import { t } from '../words/words.js';
import { hms, span, stamp } from '../words/times.js';
import { get, Problem } from '../state/api.js';
import { lang } from '../state/prefs.js';
import { href } from '../state/route.js';
import { cameras } from '../state/store.js';
import { tours, useWalls } from '../state/walls.js';
import { LoadProblem } from '../ui/load.js';

/** @typedef {import('../records.js').Patrol} Patrol */

const perPage = 50;
const results = /** @type {const} */ (['normal', 'note', 'report']);

export function Patrols() {
  useWalls();
  const [filter, setFilter] = useState({ tour: '', camera: '', result: '', from: '', to: '' });
  const [rows, setRows] = useState(/** @type {Patrol[]} */ ([]));
  const [more, setMore] = useState(false);
  const [asked, setAsked] = useState(false);
  const [open, setOpen] = useState('');
  const [problem, setProblem] = useState(/** @type {Problem|null} */ (null));
  const query = () => {
    const q = new URLSearchParams();
    for (const k of /** @type {const} */ (['tour', 'camera', 'result'])) if (filter[k]) q.set(k, filter[k]);
    if (filter.from) q.set('from', new Date(`${filter.from}T00:00`).toISOString());
    if (filter.to) q.set('to', new Date(Date.parse(`${filter.to}T00:00`) + 86_400_000).toISOString());
    return q;
  };
  /** @param {Patrol[]} before */
  const load = async (before) => {
    const q = query();
    q.set('limit', String(perPage));
    if (before.length) q.set('before', before[before.length - 1].id);
    try {
      const page = await get(`/patrols?${q}`);
      setRows([...before, ...(page.patrols ?? [])]);
      setMore(page.more);
      setProblem(null);
    } catch (err) {
      setProblem(err instanceof Problem ? err : new Problem(0, 'internal', String(err)));
    }
    setAsked(true);
  };
  useEffect(() => {
    load([]);
  }, [filter]);
  const file = query();
  file.set('lang', lang.value);
  /** @param {keyof typeof filter} k @param {string} label @param {[string, string][]} list */
  const choose = (k, label, list) => html`<select aria-label=${label} data-testid=${`filter-${k}`} value=${filter[k]} onChange=${(/** @type {any} */ e) => setFilter({ ...filter, [k]: e.currentTarget.value })}>
    <option value="">${label}</option>${list.map(([v, text]) => html`<option key=${v} value=${v}>${text}</option>`)}</select>`;
  /** @param {'from'|'to'} k */
  const day = (k) => html`<label class="inline">${t(`patrols.${k}`)}<input type="date" value=${filter[k]} onChange=${(/** @type {any} */ e) => setFilter({ ...filter, [k]: e.currentTarget.value })} /></label>`;
  return html`<main class="page"><div class="head"><a class="btn quiet" href=${href('cameras')}>‹ ${t('nav.cameras')}</a><h1>${t('nav.patrols')}</h1>
      <nav class="subnav"><a href=${href('tours')}>${t('nav.tours')}</a></nav><div class="grow"></div>
      ${choose('tour', t('patrols.tour'), tours.value.map((v) => [v.tour.id, v.tour.name]))}
      ${choose('camera', t('nav.cameras'), [...cameras.value.values()].map((r) => [r.camera.id, r.camera.name]))}
      ${choose('result', t('patrols.result'), results.map((r) => [r, t(`result.${r}`)]))}${day('from')}${day('to')}
      <a class="btn" href=${`/api/v1/patrols.csv?${file}`} download data-testid="patrols-csv">${t('patrols.csv')}</a></div>
    <${LoadProblem} problem=${problem} again=${() => load([])} />
    ${asked && !rows.length && !problem && html`<div class="empty"><p>${t('patrols.none')}</p><p>${t('patrols.none.hint')}</p></div>`}
    ${rows.length > 0 && html`<table class="list links card"><thead><tr><th>${t('patrols.when')}</th><th>${t('patrols.tour')}</th><th>${t('audit.who')}</th><th>${t('patrols.length')}</th><th>${t('patrols.views')}</th><th>${t('patrols.result')}</th></tr></thead>
      <tbody>${rows.map((p) => html`<tr key=${p.id} data-testid="patrol-row" tabindex="0" aria-expanded=${open === p.id} onClick=${() => setOpen(open === p.id ? '' : p.id)} onKeyDown=${(/** @type {KeyboardEvent} */ e) => e.key === 'Enter' && setOpen(open === p.id ? '' : p.id)}>
          <td><time>${stamp(p.started)}</time></td><td><b>${p.tourName}</b></td><td>${p.name}${p.seat ? ` · ${p.seat}` : ''}${p.unattended && html`<small>${t('patrols.unattended')}</small>`}</td>
          <td>${Date.parse(p.ended ?? '') > 0 ? span(Date.parse(p.ended ?? '') - Date.parse(p.started)) : t('patrols.running')}</td>
          <td>${t('patrols.count', { n: p.views.length })}${(p.breaks ?? []).length > 0 && html`<small>${t('patrols.breaks', { n: (p.breaks ?? []).length })}</small>`}</td><td>${outcome(p)}</td></tr>
        ${open === p.id && html`<tr class="detail" key=${`${p.id}-d`}><td colspan="6"><table class="small"><tbody>${p.views.map((v, i) => html`<tr key=${i}><th>${v.name}</th><td>${hms(v.from)}–${hms(v.to)}</td><td>${t('time.seconds', { n: v.seconds })}${(v.dark ?? 0) > 0 ? ` · ${t('patrols.dark', { n: v.dark })}` : ''}</td><td>${v.result ? t(`result.${v.result}`) : '–'}</td><td>${v.note}</td></tr>`)}</tbody></table>
          ${p.unseen ? html`<p class="note">${t('patrols.unseen', { n: p.unseen })}</p>` : null}</td></tr>`}`)}</tbody></table>`}
    ${more && html`<p class="more"><button type="button" class="btn" onClick=${() => load(rows)}>${t('records.more')}</button></p>`}
  </main>`;
}

/** The gravest of what was said. @param {Patrol} p */
function outcome(p) {
  const n = p.views.filter((v) => v.result === 'report').length;
  const m = p.views.filter((v) => v.result === 'note').length;
  if (n) return html`<span class="tag warn">${t('patrols.reports', { n })}</span>`;
  if (m) return html`<span class="tag">${t('patrols.notes', { n: m })}</span>`;
  if (p.complete) return t(p.views.every((v) => v.result === 'normal') ? 'result.normal' : 'patrols.complete');
  return t(Date.parse(p.ended ?? '') > 0 ? 'patrols.partly' : 'patrols.running');
}
