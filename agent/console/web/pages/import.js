// @ts-check
// Sensors, or cameras, by a CSV file: looked through first, taken in as a whole or not at all.
// The file that comes out is the one that goes in.
import { html, useRef, useState } from '../html.js';
import { t, wordFor } from '../words/words.js';
import { lang } from '../state/prefs.js';
import { Problem, putFile } from '../state/api.js';
import { loadAll } from '../state/store.js';

/** @typedef {{line: number, column?: string, code: string, message: string, hint?: string}} LineFault */
/** @typedef {{try: boolean, applied: boolean, lines: number, added: number, changed: number, same: number, faults?: LineFault[], more?: number, notes?: LineFault[]}} Report */

export const Import = () => html`<${CSVImport} path="/sensors.csv" lead=${t('import.lead')} />`;

/** @param {{path: string, lead: string}} props */
export function CSVImport({ path, lead }) {
  const [file, setFile] = useState(/** @type {File|null} */ (null));
  const [report, setReport] = useState(/** @type {Report|null} */ (null));
  const [problem, setProblem] = useState(/** @type {Problem|null} */ (null));
  const [busy, setBusy] = useState(false);
  const input = useRef(/** @type {HTMLInputElement|null} */ (null));
  /** @param {File} one @param {boolean} trial */
  const send = async (one, trial) => {
    setBusy(true);
    setProblem(null);
    try {
      setReport(await putFile(`${path}${trial ? '?try=1' : ''}`, one, 'POST', 'text/csv'));
      if (!trial) {
        setFile(null);
        await loadAll();
      }
    } catch (err) {
      setProblem(err instanceof Problem ? err : new Problem(0, 'internal', String(err)));
    } finally {
      setBusy(false);
    }
  };
  /** @param {File|undefined} one */
  const choose = (one) => {
    setReport(null);
    setFile(one ?? null);
    if (one) send(one, true);
  };
  const faults = report?.faults ?? [];
  const changes = (report?.added ?? 0) + (report?.changed ?? 0);
  return html`<p class="lead">${lead}</p>
    <section class="card narrow"><p class="row"><a class="btn" data-testid="export" href=${`/api/v1${path}?lang=${lang.value}`} download>${t('import.export')}</a>
        <button type="button" class="btn go" data-testid="import-choose" disabled=${busy} onClick=${() => input.current?.click()}>${t(busy ? 'busy' : 'import.choose')}</button>
        <input ref=${input} class="unseen" type="file" accept=".csv,text/csv" tabindex="-1" aria-label=${t('import.choose')} data-testid="import-file" onChange=${(/** @type {any} */ e) => {
          choose(e.currentTarget.files?.[0]);
          e.currentTarget.value = '';
        }} />${file && html`<span class="typed">${file.name}</span>`}</p>
      ${problem && html`<p class="problem" role="alert"><strong>${problem.message}</strong> ${problem.hint}</p>`}
      ${report && html`<div class="report" role="status" data-testid="import-report"><p class="big">${report.applied ? t('import.applied') : faults.length ? t('import.faults', { n: faults.length + (report.more ?? 0) }) : t('import.ready')}</p>
        <p>${t('import.sum', { lines: report.lines, added: report.added, changed: report.changed, same: report.same })}</p>
        ${!report.applied && faults.length === 0 && file && (changes > 0 ? html`<p class="below"><button type="button" class="btn go" data-testid="import-apply" disabled=${busy} onClick=${() => send(file, false)}>${t('import.apply', { n: changes })}</button></p>` : html`<p class="note">${t('import.nothing')}</p>`)}</div>`}</section>
    <${Lines} title=${t('import.faultlist')} list=${faults} more=${report?.more ?? 0} /><${Lines} title=${t('import.notes')} list=${report?.notes ?? []} more=${0} />`;
}

/** @param {{title: string, list: LineFault[], more: number}} props */
function Lines({ title, list, more }) {
  if (!list.length) return null;
  return html`<h2 class="below">${title}</h2><table class="list card" data-testid="import-lines"><thead><tr><th>${t('import.line')}</th><th>${t('import.column')}</th><th>${t('import.what')}</th></tr></thead>
    <tbody>${list.map((f, i) => html`<tr key=${i}><td>${f.line}</td><td class="typed">${f.column || '–'}</td><td class="typed">${(lang.value !== 'en' && wordFor(`problem.${f.code}`)) || f.message}${f.hint && html`<small>${f.hint}</small>`}</td></tr>`)}</tbody></table>
    ${more > 0 && html`<p class="note">${t('alarm.others', { n: more })}</p>`}`;
}
