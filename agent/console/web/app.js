// @ts-check
// The console: asks who sits before it, then shows the door or the pages, and
// keeps the one stream of events running behind them.
import { effect, html, render, signal } from './html.js';
import { kindWord, t } from './words/words.js';
import { startClock } from './state/clock.js';
import { startChoice } from './state/choice.js';
import { startFeed } from './state/feed.js';
import { applyPrefs } from './state/prefs.js';
import { route, startRoute } from './state/route.js';
import { followLink, loadSession, may, session } from './state/session.js';
import { startSound } from './state/sound.js';
import { happening, setSelf } from './state/store.js';
import { startTouring } from './state/touring.js';
import { Banner, Calling } from './ui/banner.js';
import { Bar } from './ui/bar.js';
import { Toasts } from './ui/toasts.js';
import { Desk } from './desk/desk.js';
import { startInsisting } from './desk/insist.js';
import { Accounts } from './pages/accounts.js';
import { AuditPage } from './pages/audit.js';
import { Cameras } from './pages/cameras.js';
import { Claim, Login, LoginAgain } from './pages/gate.js';
import { Health } from './pages/health.js';
import { Nodes } from './pages/nodes.js';
import { PerformancePage } from './pages/performance.js';
import { Playback } from './pages/playback.js';
import { Records } from './pages/records.js';
import { Sensors } from './pages/sensors.js';
import { Setup } from './pages/setup.js';
import { Broadcasts } from './pages/parent-policy.js';
import { Patrols } from './pages/patrols.js';
import { Tours } from './pages/tours.js';
import { TourStrip } from './pages/tour-strip.js';

/** @type {Record<string, any>} */
const pages = { desk: Desk, cameras: Cameras, sensors: Sensors, records: Records, health: Health, nodes: Nodes, accounts: Accounts, audit: AuditPage, setup: Setup, performance: PerformancePage, playback: Playback, tours: Tours, patrols: Patrols };
/** @type {Record<string, string>} */
const needs = { accounts: 'accounts', audit: 'audit', tours: 'video', patrols: 'video' };

const unreachable = signal(false);
let running = false;

function App() {
  const s = session.value;
  if (!s) return html`<p class="boot" role="status">${unreachable.value ? t('boot.lost') : ''}</p>`;
  if (!s.claimed) return html`<${Claim} />`;
  if (!s.actor) return html`<${Login} />`;
  const name = route.value.page;
  const allowed = pages[name] && (!needs[name] || may(needs[name]));
  const Page = allowed ? pages[name] : Desk;
  return html`<div class="frame"><${Bar} /><div class="banners"><${Banner} /><${Broadcasts} /><${Calling} /><${TourStrip} /><${LoginAgain} /></div><${Page} /><${Toasts} /></div>`;
}

/** Asks until the program answers; it may be starting just now. */
async function greet() {
  for (;;) {
    try {
      await followLink();
      await loadSession();
      return;
    } catch {
      unreachable.value = true;
      await new Promise((done) => setTimeout(done, 1_500));
    }
  }
}

applyPrefs();
startRoute();
startClock();
render(html`<${App} />`, /** @type {HTMLElement} */ (document.getElementById('app')));
effect(() => {
  const s = session.value;
  if (!s?.actor || running) return;
  running = true;
  setSelf(s.node.id);
  startChoice();
  startSound();
  startInsisting();
  startTouring();
  startFeed();
});
effect(() => {
  const first = happening.value[0];
  const name = session.value?.node.name || t('app.name');
  document.title = first ? `● ${kindWord(first.kind)} ${first.place || first.name} – ${name}` : name;
});
greet();
