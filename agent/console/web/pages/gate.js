// @ts-check
// The door: the first run's claim, the login, and the login over a page whose
// session has ended.
import { html, useState } from '../html.js';
import { t } from '../words/words.js';
import { LangSwitch, ThemeSwitch } from '../ui/bar.js';
import { Dialog } from '../ui/dialog.js';
import { Field, Form } from '../ui/form.js';
import { Problem } from '../state/api.js';
import { startFeed } from '../state/feed.js';
import { happening } from '../state/store.js';
import { claim, expired, link, login, logout, session } from '../state/session.js';

// The same rules as the server's, said before it is asked.
export const passwordLeast = 8;

/** Says what is still wrong with a new password; empty when it will do. @param {string} password @param {string} again @param {string} account */
export function passwordFault(password, again, account) {
  if ([...password].length < passwordLeast) return t('password.short', { n: passwordLeast });
  if (password.toLowerCase() === account.toLowerCase()) return t('password.account');
  if (new Set(password).size < 2) return t('password.simple');
  if (password !== again) return t('password.differs');
  return '';
}

/** @param {{title: string, lead: string, wide?: boolean, children?: any}} props */
function Gate({ title, lead, wide, children }) {
  return html`<div class="gate">
    <div class="gatebar"><b>${session.value?.node.name || t('app.name')}</b><${ThemeSwitch} /><${LangSwitch} /></div>
    <main class="card ${wide ? 'wide' : ''}"><h1>${title}</h1><p class="lead">${lead}</p>${children}</main>
    <p class="version">stationd ${session.value?.version ?? ''}</p>
  </div>`;
}

export function Claim() {
  const s = session.value;
  const [code, setCode] = useState(link.value.code);
  const [account, setAccount] = useState('');
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [again, setAgain] = useState('');
  const fault = passwordFault(password, again, account);
  const accountOk = /^[a-z0-9._-]{2,32}$/.test(account);
  const send = async () => {
    if (!accountOk) throw new Problem(400, 'account.name', t('claim.account.rule'));
    if (fault) throw new Problem(400, 'password', fault);
    await claim({ code: code.trim(), account, name: name.trim() || account, password });
  };
  return html`<${Gate} wide title=${t('claim.title')} lead=${t(s?.needsCode ? 'claim.lead.code' : 'claim.lead')}>
    <${Form} testid="claim-form" submit=${t('claim.submit')} onSubmit=${send}>
      ${(s?.needsCode || link.value.code) && html`<${Field} label=${t('claim.code')} hint=${t('claim.code.hint')} value=${code} onValue=${setCode} name="code" required autocomplete="one-time-code" spellcheck=${false} />`}
      <div class="two">
      <${Field} label=${t('claim.account')} hint=${t('claim.account.rule')} value=${account} onValue=${(/** @type {string} */ v) => setAccount(v.trim().toLowerCase())} name="account" required autocomplete="username" spellcheck=${false} />
      <${Field} label=${t('claim.name')} hint=${t('claim.name.hint')} value=${name} onValue=${setName} name="name" required autocomplete="name" />
      </div><div class="two">
      <${Field} label=${t('claim.password')} hint=${t('password.rule', { n: passwordLeast })} type="password" value=${password} onValue=${setPassword} name="password" required autocomplete="new-password" />
      <${Field} label=${t('claim.again')} type="password" value=${again} onValue=${setAgain} name="again" required autocomplete="new-password" />
      </div>
      <p class="hint verdict" aria-live="polite">${password && (fault && (again || password.length < passwordLeast) ? fault : !fault ? `✓ ${t('password.good')}` : '')}</p>
    <//>
  <//>`;
}

/** @param {{onDone?: () => void, fixed?: string}} props fixed: the account whose session ended */
function LoginForm({ onDone, fixed }) {
  const [account, setAccount] = useState(fixed ?? '');
  const [password, setPassword] = useState('');
  const send = async () => {
    await login({ account, password });
    onDone?.();
  };
  return html`<${Form} testid="login-form" submit=${t('login.submit')} onSubmit=${send}
      extra=${fixed && html`<button type="button" class="btn" onClick=${logout}>${t('login.other')}</button>`}>
    <${Field} label=${t('login.account')} value=${account} onValue=${(/** @type {string} */ v) => setAccount(v.trim())} name="account" required autocomplete="username" spellcheck=${false} readonly=${!!fixed} autofocus=${!fixed} />
    <${Field} label=${t('login.password')} type="password" value=${password} onValue=${setPassword} name="password" required autocomplete="current-password" autofocus=${!!fixed} />
  <//>`;
}

export function Login() {
  const refused = link.value.refused;
  return html`<${Gate} title=${t('login.title')} lead=${t('login.lead')}>
    ${refused && html`<p class="problem" role="alert"><strong>${t('login.linkRefused')}</strong> ${t('login.linkRefused.hint')}</p>`}
    <${LoginForm} />
  <//>`;
}

export function LoginAgain() {
  if (!expired.value) return null;
  // Nothing covers an alarm: then the password is asked for above the page instead of over it.
  if (happening.value.length) {
    return html`<div class="banner again" role="alert" data-testid="login-again"><strong>${t('login.expired')}</strong><span>${t('login.expired.hint')}</span>
      <${LoginForm} fixed=${session.value?.actor?.account} onDone=${startFeed} /></div>`;
  }
  return html`<${Dialog} title=${t('login.expired')} firm testid="login-again" onClose=${() => {}}>
    <p class="lead">${t('login.expired.hint')}</p>
    <${LoginForm} fixed=${session.value?.actor?.account} onDone=${startFeed} />
  <//>`;
}
