// @ts-check
// Fetching for one page: what came, what went wrong, and a way to ask again.
import { html, useEffect, useState } from '../html.js';
import { t } from '../words/words.js';
import { get, Problem } from '../state/api.js';

/** @param {string} path empty fetches nothing @returns {{data: any, problem: Problem|null, again: () => void}} */
export function useLoad(path) {
  const [data, setData] = useState(/** @type {any} */ (null));
  const [problem, setProblem] = useState(/** @type {Problem|null} */ (null));
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let gone = false;
    if (!path) return;
    get(path).then(
      (body) => {
        if (gone) return;
        setProblem(null);
        setData(body);
      },
      (err) => gone || setProblem(err instanceof Problem ? err : new Problem(0, 'internal', String(err))),
    );
    return () => {
      gone = true;
    };
  }, [path, turn]);
  return { data, problem, again: () => setTurn((n) => n + 1) };
}

/** @param {{problem: Problem|null, again: () => void}} props */
export function LoadProblem({ problem, again }) {
  if (!problem) return null;
  return html`<p class="problem" role="alert"><strong>${problem.message}</strong> ${problem.hint} <button type="button" class="btn" onClick=${again}>${t('again')}</button></p>`;
}
