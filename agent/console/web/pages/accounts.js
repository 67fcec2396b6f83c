// @ts-check
// Who may sit before the console, and as what.
import { html, useState } from '../html.js';
import { roleWord, t } from '../words/words.js';
import { Problem, put, remove } from '../state/api.js';
import { session } from '../state/session.js';
import { Dialog } from '../ui/dialog.js';
import { Check, Field, Form } from '../ui/form.js';
import { LoadProblem, useLoad } from '../ui/load.js';
import { RemoveButton } from '../ui/remove.js';
import { passwordFault, passwordLeast } from './gate.js';

/** @typedef {import('../records.js').Account} Account */

const roles = ['operator', 'chief', 'installer', 'viewer', 'admin'];

export function Accounts() {
  const { data, problem, again } = useLoad('/accounts');
  const [editing, setEditing] = useState(/** @type {Account|null} */ (null));
  /** @type {Account[]} */
  const rows = data?.accounts ?? [];
  return html`<main class="page"><div class="head"><h1>${t('nav.accounts')}</h1><div class="grow"></div>
      <button type="button" class="btn go" data-testid="account-add" onClick=${() => setEditing({ account: '', name: '', role: roles[0] })}>${t('accounts.add')}</button></div>
    <${LoadProblem} problem=${problem} again=${again} />
    ${rows.length > 0 && html`<table class="list card"><thead><tr><th>${t('claim.name')}</th><th>${t('login.account')}</th><th>${t('account.role')}</th><th>${t('fact.state')}</th><th></th></tr></thead>
      <tbody>${rows.map((a) => html`<tr key=${a.account} data-testid="account-row" class=${a.disabled ? 'off' : ''}><td><b>${a.name}</b>${a.account === session.value?.actor?.account && html`<i class="tag">${t('account.me')}</i>`}</td><td>${a.account}</td><td>${roleWord(a.role)}</td>
        <td>${t(a.disabled ? 'account.disabled' : 'account.active')}</td><td class="end"><button type="button" class="btn quiet" onClick=${() => setEditing(a)}>${t('change')}</button></td></tr>`)}</tbody></table>`}
    ${editing && html`<${AccountDialog} account=${editing} onClose=${() => {
      setEditing(null);
      again();
    }} />`}
  </main>`;
}

/** @param {{account: Account, onClose: () => void}} props */
function AccountDialog({ account, onClose }) {
  const fresh = account.account === '';
  const me = account.account === session.value?.actor?.account;
  const [id, setId] = useState(account.account);
  const [name, setName] = useState(account.name);
  const [role, setRole] = useState(account.role);
  const [password, setPassword] = useState('');
  const [again, setAgain] = useState('');
  const [disabled, setDisabled] = useState(!!account.disabled);
  const send = async () => {
    if (fresh && !/^[a-z0-9._-]{2,32}$/.test(id)) throw new Problem(400, 'account.name', t('claim.account.rule'));
    if (fresh || password) {
      const fault = passwordFault(password, again, id);
      if (fault) throw new Problem(400, 'password', fault);
    }
    await put(`/accounts/${encodeURIComponent(id)}`, { account: id, name: name.trim(), role, disabled, ...(password ? { password } : {}) });
    onClose();
  };
  const drop = async () => {
    await remove(`/accounts/${encodeURIComponent(account.account)}`);
    onClose();
  };
  return html`<${Dialog} title=${fresh ? t('accounts.add') : account.name} testid="account-dialog" onClose=${onClose}>
    <${Form} submit=${t('save')} onSubmit=${send} onCancel=${onClose} extra=${!fresh && !me && html`<${RemoveButton} onRemove=${drop} /><span class="grow"></span>`}>
      <div class="two">
        <${Field} label=${t('login.account')} hint=${fresh ? t('claim.account.rule') : ''} value=${id} onValue=${(/** @type {string} */ v) => setId(v.trim().toLowerCase())} name="account" required readonly=${!fresh} autofocus=${fresh} autocomplete="off" spellcheck=${false} />
        <${Field} label=${t('claim.name')} value=${name} onValue=${setName} name="name" required />
      </div>
      <${Field} label=${t('account.role')} hint=${t('account.role.hint')} value=${role} onValue=${setRole} name="role" options=${[...new Set([...roles, role])].map((r) => [r, roleWord(r)])} disabled=${me} />
      <div class="two">
        <${Field} label=${t(fresh ? 'claim.password' : 'account.newPassword')} hint=${t('password.rule', { n: passwordLeast })} type="password" value=${password} onValue=${setPassword} name="password" required=${fresh} autocomplete="new-password" placeholder=${fresh ? '' : t('secret.kept')} />
        <${Field} label=${t('claim.again')} type="password" value=${again} onValue=${setAgain} name="again" required=${fresh || password !== ''} autocomplete="new-password" />
      </div>
      ${!fresh && !me && html`<${Check} label=${t('account.disable')} hint=${t('account.disable.hint')} checked=${disabled} onValue=${setDisabled} name="disabled" />`}
    <//>
  <//>`;
}
