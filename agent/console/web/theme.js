// @ts-check
// Sets day or night before the first paint. The only classic script: modules
// run too late for it, and inline scripts are refused by the policy.
(() => {
  let chosen = 'auto';
  try {
    chosen = localStorage.getItem('theme') || 'auto';
  } catch {
    // Storage may be refused; then the system's wish counts.
  }
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  document.documentElement.dataset.theme = chosen === 'night' || (chosen === 'auto' && dark) ? 'night' : 'day';
})();
