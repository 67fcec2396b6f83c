// @ts-check
// The record of up to four cameras, played against one clock. The address says what
// is looked at, so that it can be passed on: "#/playback/gate,hall@2026-11-03T10:20:05".
import { html, useEffect, useState } from '../html.js';
import { kindWord, t } from '../words/words.js';
import { hms, stamp, when } from '../words/times.js';
import { now, stationNow } from '../state/clock.js';
import { go, href, route } from '../state/route.js';
import { centre, display, may } from '../state/session.js';
import { cameraRow, cameras, loaded } from '../state/store.js';
import { LoadProblem } from '../ui/load.js';
import { faster, play, playing, position, rate, rates, seek, tick, waiting } from '../playback/clock.js';
import { bringIntoView, chosen, dayOf, first, happenings, loadLine, mostCameras, newest, nextDay, problem, settings, startLines, view } from '../playback/state.js';
import { Calendar } from '../playback/calendar.js';
import { Evidence, HoldDialog, mayHold } from '../playback/evidence.js';
import { ExportDialog, Exports, local, moment } from '../playback/exports.js';
import { feeds, Tile } from '../playback/tile.js';
import { settingWord, Timeline } from '../playback/timeline.js';

const behindLive = 10_000; // where the page begins when no time is given
const beforeAlarm = 5_000;
const tickEvery = 60; // ms
const addressAfter = 700; // ms without a change before the address follows
const shownWithin = 1.5; // seconds between the clock and the picture that stands for it
const exported = 60_000; // what the export dialog proposes around the clock

/** Whether this node has a record to be played. */
export const hasPlayback = () => may('video') && !centre.value;

/** The address of a moment. @param {string[]} list @param {string|number} at */
export const playbackHref = (list, at) => href('playback', `${list.slice(0, mostCameras).join(',')}@${new Date(at).toISOString()}`);

/** Takes the address apart. @param {string} id */
function wish(id) {
  const m = /^(.*?)(?:@([^@]+))?$/.exec(id);
  const at = Date.parse(m?.[2] ?? '');
  return { list: (m?.[1] ?? '').split(',').filter(Boolean).slice(0, mostCameras), at: Number.isNaN(at) ? 0 : at };
}

let written = '';
let opened = ''; // the address that was last acted upon

/** Whether the address is one that was acted upon: another one is a wish that has not been heard yet. */
function heardOf() {
  try {
    return decodeURIComponent(location.hash).replace(/^#\/playback\/?/, '') === (written || opened);
  } catch {
    return false;
  }
}

export function Playback() {
  const [heard, setHeard] = useState('');
  const [dialog, setDialog] = useState('');
  const id = route.value.id;
  const all = [...cameras.value.values()].map((r) => r.camera).sort((a, b) => a.name.localeCompare(b.name, 'zh'));
  useEffect(() => {
    opened = id;
    if (id === written && chosen.peek().length) return;
    written = '';
    const w = wish(id);
    const list = w.list.length ? w.list : all.slice(0, 1).map((c) => c.id);
    if (!list.length) return;
    const at = w.at || stationNow() - behindLive;
    chosen.value = list;
    if (!(at >= view.peek().from && at < view.peek().to) || !w.at) view.value = { from: dayOf(at), to: nextDay(at) };
    seek(at);
    play(true);
  }, [id, all.length > 0]);
  useEffect(() => {
    const stop = startLines();
    const timer = setInterval(() => tick(newest.peek() || stationNow()), tickEvery);
    /** @param {KeyboardEvent} e */
    const key = (e) => {
      const el = /** @type {HTMLElement} */ (e.target);
      if (e.ctrlKey || e.metaKey || e.altKey || el.closest('input, textarea, select, dialog')) return;
      if (e.key === ' ' && el.closest('button, a')) return;
      /** @type {Record<string, () => void>} */
      const keys = { ' ': () => play(!playing.peek()), ',': () => step(-1), '.': () => step(1), '<': () => faster(-1), '>': () => faster(1), '[': () => jump(-1), ']': () => jump(1), ArrowLeft: () => hop(-5_000), ArrowRight: () => hop(5_000) };
      if (!keys[e.key]) return;
      e.preventDefault();
      keys[e.key]();
    };
    addEventListener('keydown', key);
    let pending = 0;
    const follow = position.subscribe(() => {
      if (playing.peek() && pending) return;
      clearTimeout(pending);
      pending = setTimeout(() => {
        pending = 0;
        if (route.peek().page !== 'playback' || !chosen.peek().length || !heardOf()) return;
        written = `${chosen.peek().join(',')}@${new Date(Math.round(position.peek() / 1000) * 1000).toISOString().replace('.000Z', 'Z')}`;
        history.replaceState(null, '', href('playback', written));
      }, addressAfter);
    });
    return () => {
      stop();
      clearInterval(timer);
      clearTimeout(pending);
      removeEventListener('keydown', key);
      follow();
      play(false);
      written = '';
    };
  }, []);
  if (!may('video')) return html`<main class="page"><div class="empty"><p>${t('video.notAllowed')}</p></div></main>`;
  if (loaded.value && !all.length) return html`<main class="page"><div class="empty"><p>${t('cameras.none')}</p></div></main>`;
  const list = chosen.value;
  const ear = heard || first.value;
  /** @param {string} c */
  const toggle = (c) => {
    const next = list.includes(c) ? list.filter((x) => x !== c) : [...list, c].slice(-mostCameras);
    if (!next.length) return;
    chosen.value = next;
    loadLine(c);
    seek(position.peek());
  };
  return html`<main class="page playback" data-testid="playback">
    <div class="stage2">
      <div class="ptiles n${Math.min(list.length, 4)}">${list.map((c) => html`<${Tile} key=${c} camera=${c} heard=${c === ear} onHear=${() => setHeard(c === ear ? '-' : c)} onClose=${() => toggle(c)} />`)}</div>
      <${Controls} onExport=${() => setDialog('export')} onHold=${() => setDialog('hold')} />
      <${LoadProblem} problem=${problem.value} again=${() => list.forEach((c) => loadLine(c, true))} />
      <${Timeline} />
    </div>
    <aside>
      <${Calendar} />
      <section class="card pcams"><h2>${t('play.cameras', { n: mostCameras })}</h2><div class="chips">${all.map((c) => html`<label class="chip" key=${c.id}><input type="checkbox" checked=${list.includes(c.id)} data-testid=${`pick-${c.id}`} onChange=${() => toggle(c.id)} /><span>${c.name}</span></label>`)}</div></section>
      <${Happenings} />
      <${Exports} /><${Evidence} />
    </aside>
    ${dialog && html`<${dialog === 'hold' ? HoldDialog : ExportDialog} from=${Math.floor((position.peek() - exported / 2) / 1000) * 1000} to=${Math.floor(Math.min(position.peek() + exported / 2, newest.peek() || Infinity) / 1000) * 1000} onClose=${() => setDialog('')} />`}
  </main>`;
}

/** Goes so far, and stays in sight. @param {number} by ms */
function hop(by) {
  seek(position.peek() + by);
  bringIntoView(position.peek());
}

/** One picture on or back, of the first camera. @param {number} by */
export function step(by) {
  play(false);
  const feed = feeds.get(first.peek());
  const at = feed?.neighbour(position.peek(), by);
  if (at !== undefined && !Number.isNaN(at)) return seek(at + 1); // a moment that is its own and not the one before's
  hop(by * 40); // it is not there yet: as far as a picture usually lasts
}

/** To the next alarm, or the one before. @param {number} by */
function jump(by) {
  const at = position.peek() + beforeAlarm;
  const list = happenings.peek();
  const next = by > 0 ? list.find((e) => e.from > at + 500) : list.filter((e) => e.from < at - 2_000).at(-1);
  if (!next) return;
  seek(next.from - beforeAlarm);
  bringIntoView(position.peek());
}

/** Saves the moment as a picture: what is shown, where the browser has decoded it, or else what the station makes of it. */
async function snapshot() {
  const camera = first.peek();
  const at = position.peek();
  const blob = (await shownAt(camera, at)) ?? (await recordedPicture(camera, at));
  if (!blob) return;
  const a = document.createElement('a');
  a.href = URL.createObjectURL(blob);
  a.download = `${camera}_${stamp(new Date(at).toISOString()).replace(/[ :]/g, '-')}.${blob.type === 'image/jpeg' ? 'jpg' : 'mp4'}`;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 10_000);
}

/** What stands on the screen, if it is of that moment: before the first picture and during a seek it is black, or another one. @param {string} camera @param {number} at @returns {Promise<Blob|null>} */
function shownAt(camera, at) {
  const v = feeds.get(camera)?.video;
  if (!v || v.readyState < HTMLMediaElement.HAVE_CURRENT_DATA || v.seeking || Math.abs(v.currentTime - at / 1000) > shownWithin) return Promise.resolve(null);
  const c = document.createElement('canvas');
  [c.width, c.height] = [v.videoWidth, v.videoHeight];
  c.getContext('2d')?.drawImage(v, 0, 0);
  return new Promise((done) => c.toBlob(done, 'image/jpeg', 0.92));
}

/** The key picture before a moment; null where nothing is recorded. @param {string} camera @param {number} at @returns {Promise<Blob|null>} */
async function recordedPicture(camera, at) {
  const reply = await fetch(`/api/v1/cameras/${encodeURIComponent(camera)}/snapshot?at=${encodeURIComponent(new Date(at).toISOString())}`, { credentials: 'same-origin' });
  return reply.ok ? reply.blob() : null;
}

/** @param {{onExport: () => void, onHold: () => void}} props */
function Controls({ onExport, onHold }) {
  const [typed, setTyped] = useState(/** @type {string|null} */ (null));
  const on = playing.value;
  const list = happenings.value;
  const at = position.value + beforeAlarm;
  const goTo = (/** @type {Event} */ e) => {
    e.preventDefault();
    const to = moment(typed ?? '', position.peek());
    if (Number.isNaN(to)) return;
    seek(to);
    bringIntoView(to);
    setTyped(null);
  };
  /** @param {string} d @param {string} name @param {string} word @param {() => void} act @param {any} [more] */
  const button = (d, name, word, act, more) => html`<button type="button" class="pbtn" aria-label=${word} title=${word} data-testid=${name} onClick=${act} ...${more}><svg viewBox="0 0 24 24" aria-hidden="true"><path d=${d} /></svg></button>`;
  return html`<section class="card pcontrols" data-testid="controls">
    ${button('M6 5h2.4v14H6zM19 5v14L9.5 12z', 'alarm-prev', t('play.alarmBefore'), () => jump(-1), { disabled: !list.some((e) => e.from < at - 2_000) })}
    ${button('M15 5v14L4.5 12zM17.5 5H20v14h-2.5z', 'step-back', `${t('play.stepBack')} (,)`, () => step(-1))}
    ${button(on ? 'M7 5h4v14H7zM13 5h4v14h-4z' : 'M8 5l12 7-12 7z', 'play', t(on ? 'play.pause' : 'play.play'), () => play(!on), { class: 'pbtn main', 'aria-pressed': on })}
    ${button('M9 5v14l10.500-7zM4 5h2.500v14H4z', 'step-on', `${t('play.stepOn')} (.)`, () => step(1))}
    ${button('M15.600 5H18v14h-2.400zM5 5v14l9.500-7z', 'alarm-next', t('play.alarmNext'), () => jump(1), { disabled: !list.some((e) => e.from > at + 500) })}
    <div class="segments" role="radiogroup" aria-label=${t('play.rate')}>${rates.map((r) => html`<button type="button" role="radio" key=${r} aria-checked=${rate.value === r} data-testid=${`rate-${r}`} onClick=${() => (rate.value = r)}>${r < 1 ? (r === 0.25 ? '¼' : '½') : r}×</button>`)}</div>
    <form class="goto" onSubmit=${goTo}><input inputmode="numeric" spellcheck="false" aria-label=${t('play.goto')} value=${typed ?? local(Math.floor(position.value / 1000) * 1000)} data-testid="goto" onInput=${(/** @type {any} */ e) => setTyped(e.currentTarget.value)} onBlur=${() => typed !== null && Number.isNaN(moment(typed, position.peek())) && setTyped(null)} />
      <button type="submit" class="btn ${typed === null ? 'quiet' : 'go'}" data-testid="goto-go" disabled=${typed === null}>${t('play.go')}</button></form>
    <span class="state" role="status">${waiting.value ? t('play.waiting') : ''}</span>
    <span class="grow"></span>
    ${first.value && html`<a class="btn quiet" href=${href('cameras', first.value)}>${t('play.live')}</a>`}
    <button type="button" class="btn" data-testid="snapshot" onClick=${snapshot}>${t('play.snapshot')}</button>
    ${mayHold() && !display.value && html`<button type="button" class="btn" data-testid="hold-open" onClick=${onHold}>${t('play.hold.do')}</button>`}
    ${!display.value && html`<button type="button" class="btn go" data-testid="export-open" onClick=${onExport}>${t('play.export')}</button>`}
  </section>`;
}

/** What there is of the stretch that is shown: alarms, and where the clock was set. */
function Happenings() {
  const v = view.value;
  const list = happenings.value.filter((e) => e.from < v.to && (Number.isNaN(e.to) ? e.from : e.to) > v.from);
  const set = settings.value.filter((s) => s.at >= v.from && s.at < v.to);
  /** @type {any[]} */
  const shown = [...list.slice(-40), ...set.slice(-40).map((s) => ({ from: s.at, setting: s }))].sort((a, b) => b.from - a.from);
  return html`<section class="card pevents" data-testid="happenings"><h2>${t('play.alarms')}</h2>
    ${!shown.length && html`<p class="note">${t('play.alarms.none')}</p>`}
    <ul>${shown.map((e) => e.setting ? html`<li key=${`c${e.from}`} class="clock" data-testid="setting"><button type="button" onClick=${() => {
      seek(e.from);
      bringIntoView(position.peek());
    }}><time>${v.to - v.from > 86_400_000 * 1.5 ? when(e.from, now.value) : hms(e.from)}</time><b>${settingWord(e.setting)}</b></button></li>` : html`<li key=${e.alarm}><button type="button" data-testid="happening" onClick=${() => {
      seek(e.from - beforeAlarm);
      bringIntoView(position.peek());
    }}><time>${v.to - v.from > 86_400_000 * 1.5 ? when(e.from, now.value) : hms(e.from)}</time><b class=${e.state === 'raised' && !e.test ? 'red' : ''}>${kindWord(e.kind)}</b><span>${e.place || e.name}</span></button>
      <a href=${href('records', e.alarm)} title=${t('play.record')} aria-label=${t('play.record')}>›</a></li>`)}</ul></section>`;
}

/** A link to the film around an alarm; nothing where there is none to play. @param {{cameras: string[], at: string}} props */
export function PlaybackLink({ cameras: list, at }) {
  const own = list.filter((c) => cameraRow(c));
  if (!hasPlayback() || !own.length) return null;
  return html`<a class="btn" href=${playbackHref(own, Date.parse(at) - beforeAlarm)} data-testid="to-playback" onClick=${(/** @type {Event} */ e) => {
    e.preventDefault();
    go('playback', `${own.slice(0, mostCameras).join(',')}@${new Date(Date.parse(at) - beforeAlarm).toISOString()}`);
  }}>${t('play.open')}</a>`;
}
