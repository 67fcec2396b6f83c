// @ts-check
// The bar above every page: whose console it is, the pages, the lamps, the time.
import { html } from '../html.js';
import { t, roleWord } from '../words/words.js';
import { hms } from '../words/times.js';
import { now } from '../state/clock.js';
import { lang, seat, theme } from '../state/prefs.js';
import { href, route } from '../state/route.js';
import { centre, display, logout, may, session } from '../state/session.js';
import { happening } from '../state/store.js';
import { hasPlayback } from '../pages/playback.js';
import { hasSetup } from '../pages/setup.js';
import { Lamps } from './lamps.js';
import { Popup } from './popup.js';

/** @param {{page: 'desk'|'nodes'|'cameras'|'sensors'|'records'|'health'|'accounts'|'audit'|'setup'|'performance'|'playback', onClick?: () => void}} props */
function NavLink({ page, onClick }) {
  const here = route.value.page === page;
  const count = page === 'desk' && !here ? happening.value.length : 0;
  return html`<a href=${href(page)} data-testid=${`nav-${page}`} aria-current=${here ? 'page' : undefined} onClick=${onClick}>
    ${t(`nav.${page}`)}${count > 0 && html`<b class="count" aria-label=${t('nav.live', { n: count })}>${count}</b>`}
  </a>`;
}

export function Bar() {
  const s = session.value;
  const name = s?.node.name || t('app.name');
  return html`<header class="bar">
    <b class="station" title=${name}>${name}</b>
    <nav aria-label=${t('nav')}>
      <${NavLink} page="desk" />
      ${centre.value && html`<${NavLink} page="nodes" />`}
      <${NavLink} page="cameras" />${hasPlayback() && html`<${NavLink} page="playback" />`}<${NavLink} page="sensors" /><${NavLink} page="records" /><${NavLink} page="health" />
      ${!display.value && hasSetup() && html`<${NavLink} page="setup" />`}
    </nav>
    <${Lamps} />
    <time data-testid="clock">${hms(now.value)}</time>
    <${LangSwitch} />
    <${Popup} class="who" testid="menu" name=${t('menu')} label=${html`<span>${s?.actor?.name || s?.actor?.account}</span>`}>
      ${(/** @type {() => void} */ close) => html`<${Menu} close=${close} />`}
    <//>
  </header>`;
}

/** @param {{close: () => void}} props */
function Menu({ close }) {
  const s = session.value;
  return html`<div class="menu">
    <p class="me"><strong>${s?.actor?.name || s?.actor?.account}</strong><span>${roleWord(s?.actor?.role ?? '')}</span></p>
    ${may('accounts') && html`<${NavLink} page="accounts" onClick=${close} />`}
    ${may('audit') && html`<${NavLink} page="audit" onClick=${close} />`}
    <${ThemeSwitch} />
    ${may('answer') && !centre.value && html`<label class="seat">${t('seat')}<input name="seat" maxlength="20" value=${seat.value} placeholder=${t('seat.hint')} onInput=${(/** @type {any} */ e) => (seat.value = e.currentTarget.value)} /></label>`}
    ${!display.value && html`<button type="button" data-testid="logout" onClick=${logout}>${t('logout')}</button>`}
    <p class="version">${t('version', { v: s?.version ?? '' })}</p>
  </div>`;
}

export function ThemeSwitch() {
  return html`<div class="segments" role="radiogroup" aria-label=${t('theme')} data-testid="theme-switch">
    ${/** @type {const} */ (['auto', 'day', 'night']).map(
      (x) => html`<button type="button" role="radio" aria-checked=${theme.value === x} data-testid=${`theme-${x}`} onClick=${() => (theme.value = x)}>${t(`theme.${x}`)}</button>`,
    )}
  </div>`;
}

/** The other language, in its own word. */
export function LangSwitch() {
  const other = lang.value === 'zh' ? 'en' : 'zh';
  return html`<button type="button" class="lang" data-testid="lang-switch" lang=${other === 'en' ? 'en' : 'zh-CN'}
    onClick=${() => (lang.value = other)}>${other === 'en' ? 'EN' : '中文'}</button>`;
}
