// @ts-check
// At a station: below which centre it is, and the code with which it gets there.
import { html, useState } from '../html.js';
import { t } from '../words/words.js';
import { when } from '../words/times.js';
import { post } from '../state/api.js';
import { now } from '../state/clock.js';
import { may } from '../state/session.js';
import { Field, Form } from '../ui/form.js';
import { LoadProblem, useLoad } from '../ui/load.js';

export function Parent() {
  const { data, problem, again } = useLoad('/uplink/enrolment');
  const [code, setCode] = useState('');
  const [centre, setCentre] = useState('');
  const [done, setDone] = useState(false);
  if (!data) return html`<${LoadProblem} problem=${problem} again=${again} />`;
  const enrolled = Boolean(data.parent);
  return html`<p class="lead">${t('parent.lead')}</p><${LoadProblem} problem=${problem} again=${again} />
    <section class="card narrow" data-testid="parent" data-parent=${data.parent ?? ''}>
      <p class="big"><i class="light ${enrolled || data.configured ? 'ok' : 'off'}"></i>${enrolled ? t('parent.now', { name: data.parentName || data.parent }) : data.configured ? t('parent.configured', { address: data.address }) : t('parent.none')}</p>
      <p class="note">${t('parent.self')} <code>${data.node}</code> ${data.configured ? '' : t(data.free ? 'parent.free' : 'parent.fixed')}</p>
      ${enrolled && html`<p>${t('parent.cert', { time: when(data.at, now.value), until: when(data.expires, now.value) })}</p>`}
    </section>
    ${done && html`<p class="narrow below" role="status" data-testid="parent-done">${t('parent.done')}</p>`}
    ${!done && !data.configured && may('accounts') && html`<section class="card narrow below">${enrolled && html`<h2>${t('parent.again')}</h2>`}<${Form} submit=${t('parent.do')} testid="parent-form" onSubmit=${async () => {
      await post('/uplink/enrolment', { code: code.trim(), centre: centre.trim() });
      setDone(true);
      setCode('');
      again();
    }}>
      <${Field} label=${t('parent.code')} hint=${t('parent.code.hint')} value=${code} onValue=${setCode} name="code" required maxlength="300" autocapitalize="none" autocomplete="off" spellcheck=${false} />
      <${Field} label=${t('parent.centre')} value=${centre} onValue=${setCentre} name="centre" maxlength="260" placeholder="centre.example.cn:8884" autocapitalize="none" autocomplete="off" />
    <//></section>`}`;
}
