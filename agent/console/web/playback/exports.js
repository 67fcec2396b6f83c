// @ts-check
// Files of the record: having one made, and what became of those that were ordered.
import { html, useEffect, useState } from '../html.js';
import { t, wordFor } from '../words/words.js';
import { bytes, hms, span, stamp, when } from '../words/times.js';
import { get, newKey, post, Problem, remove } from '../state/api.js';
import { now } from '../state/clock.js';
import { cameraRow } from '../state/store.js';
import { Dialog } from '../ui/dialog.js';
import { Check, Field, Form } from '../ui/form.js';
import { RemoveButton } from '../ui/remove.js';
import { chosen, filed } from './state.js';

/** @typedef {{id: string, camera: string, from: string, to: string, overlay?: boolean, reason: string, name: string, at: string, status: string, code?: string, cause?: string, size?: number, sha256?: string, stamped?: boolean, gaps?: number, until?: string, progress?: number}} Export */

const askEvery = 1_500;
const listed = 12;

/** "2026-11-03 10:20:05" @param {number} at */
export const local = (at) => stamp(new Date(at).toISOString());

/**
 * The moment that somebody typed: "2026-11-03 10:20:05", "11-3 10:20", or a time alone,
 * which is of the day beside it. NaN for what is none.
 * @param {string} text @param {number} beside
 */
export function moment(text, beside) {
  const m = /^\s*(?:(?:(\d{4})[-/.年])?(\d{1,2})[-/.月](\d{1,2})日?[ T]+)?(\d{1,2})[:：](\d{2})(?:[:：](\d{2}))?\s*$/.exec(text);
  if (!m) return NaN;
  const d = new Date(beside);
  const day = m[2] ? [Number(m[1] ?? d.getFullYear()), Number(m[2]) - 1, Number(m[3])] : [d.getFullYear(), d.getMonth(), d.getDate()];
  const at = new Date(day[0], day[1], day[2], Number(m[4]), Number(m[5]), Number(m[6] ?? 0));
  return at.getMonth() === day[1] && at.getDate() === day[2] && Number(m[4]) < 24 && Number(m[5]) < 60 && Number(m[6] ?? 0) < 60 ? at.getTime() : NaN;
}

/** @param {{from: number, to: number, onClose: () => void}} props */
export function ExportDialog({ from, to, onClose }) {
  const [camera, setCamera] = useState(chosen.peek()[0] ?? '');
  const [begin, setBegin] = useState(local(from));
  const [end, setEnd] = useState(local(to));
  const [reason, setReason] = useState('');
  const [overlay, setOverlay] = useState(false);
  const [can, setCan] = useState({ overlay: false, longest: 0, known: false });
  const [key] = useState(newKey);
  useEffect(() => {
    get(`/cameras/${encodeURIComponent(camera)}/exports`).then((body) => setCan({ overlay: !!body.overlay, longest: (body.longest ?? 0) / 1e6, known: true }), () => {});
  }, [camera]);
  const length = moment(end, to) - moment(begin, from);
  const send = async () => {
    if (!(length > 0)) throw new Problem(400, 'span', t('play.export.wrongSpan'));
    await post(`/cameras/${encodeURIComponent(camera)}/export`, { from: new Date(moment(begin, from)).toISOString(), to: new Date(moment(end, to)).toISOString(), overlay: overlay && can.overlay, reason }, { 'Idempotency-Key': key });
    filed.value++;
    onClose();
  };
  return html`<${Dialog} title=${t('play.export')} testid="export-dialog" onClose=${onClose}>
    <${Form} submit=${t('play.export.order')} onSubmit=${send} onCancel=${onClose}>
      ${chosen.value.length > 1 && html`<${Field} label=${t('play.camera')} value=${camera} onValue=${setCamera} options=${chosen.value.map((c) => [c, cameraRow(c)?.camera.name ?? c])} />`}
      <div class="two"><${Field} label=${t('play.from')} value=${begin} onValue=${setBegin} name="from" required />
        <${Field} label=${t('play.to')} value=${end} onValue=${setEnd} name="to" required /></div>
      <p class="hint verdict">${length > 0 ? t('play.export.length', { span: span(length) }) : t('play.export.wrongSpan')}${can.longest && length > can.longest ? t('play.export.tooLong', { span: span(can.longest) }) : ''}</p>
      <${Field} label=${t('play.reason')} hint=${t('play.reason.hint')} value=${reason} onValue=${setReason} name="reason" required maxlength="200" autofocus />
      <${Check} label=${t('play.export.overlay')} hint=${can.known && !can.overlay ? t('play.export.noOverlay') : t('play.export.overlay.hint')} checked=${overlay && can.overlay} onValue=${setOverlay} disabled=${!can.overlay} name="overlay" />
    <//>
  <//>`;
}

/** The files of all cameras, the newest first. */
export function Exports() {
  const [list, setList] = useState(/** @type {Export[]} */ ([]));
  const [turn, setTurn] = useState(0);
  const busy = list.some((x) => x.status === 'waiting');
  useEffect(() => {
    let gone = false;
    get('/exports').then((body) => gone || setList(body.exports ?? []), () => {});
    return () => {
      gone = true;
    };
  }, [turn, filed.value]);
  useEffect(() => {
    if (!busy) return;
    const timer = setInterval(() => setTurn((n) => n + 1), askEvery);
    return () => clearInterval(timer);
  }, [busy]);
  const shown = list.filter((x) => x.status !== 'removed').slice(0, listed);
  return html`<section class="card pexports" data-testid="exports"><h2>${t('play.exports')}</h2>
    ${!shown.length && html`<p class="note">${t('play.exports.none')}</p>`}
    <ul>${shown.map((x) => html`<${Row} key=${x.id} file=${x} again=${() => setTurn((n) => n + 1)} />`)}</ul></section>`;
}

/** @param {{file: Export, again: () => void}} props */
function Row({ file: x, again }) {
  const path = `/cameras/${encodeURIComponent(x.camera)}/exports/${x.id}`;
  const drop = async () => {
    await remove(path);
    again();
  };
  return html`<li data-testid="export" data-status=${x.status}>
    <div><b>${cameraRow(x.camera)?.camera.name ?? x.camera}</b><span class="tab">${stamp(x.from).slice(5)} – ${hms(x.to)}</span>
      <p class="typed">${x.reason} · ${x.name}</p>
      ${x.status === 'waiting' && html`<progress max="1" value=${x.progress ?? 0} aria-label=${t('play.export.making')}></progress>`}
      ${x.status === 'failed' && html`<p class="warn">${wordFor(`problem.${x.code}`) || t('play.export.failed')}</p>`}
      ${x.status === 'ready' && html`<p class="note">${bytes(x.size)} · ${t('play.export.until', { time: when(x.until, now.value) })}${x.stamped ? t('play.export.stamped') : ''}${x.overlay && !x.stamped ? t('play.export.notStamped') : ''}${x.gaps ? t('play.export.gaps', { span: span(x.gaps / 1e6) }) : ''}</p><code title="SHA-256" data-testid="export-sum">${x.sha256}</code>`}</div>
    <div class="acts">${x.status === 'ready' && html`<a class="btn" href=${`/api/v1${path}/video.mp4`} download data-testid="export-save">${t('play.save')}</a>`}<${RemoveButton} onRemove=${drop} /></div>
  </li>`;
}
