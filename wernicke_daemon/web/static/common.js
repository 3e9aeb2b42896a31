// What every page has: dark or light, and the language. Both are kept in a cookie, so that the page comes right at once.
const YEAR = 365 * 24 * 3600;

export function remember(name, value) {
  document.cookie = `${name}=${encodeURIComponent(value)};path=/;max-age=${YEAR};samesite=strict`;
}

const root = document.documentElement;

function isDark() {
  const chosen = root.dataset.theme;
  return chosen === "auto" ? matchMedia("(prefers-color-scheme: dark)").matches : chosen === "dark";
}

document.getElementById("theme")?.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  remember("theme", root.dataset.theme);
});

document.getElementById("language")?.addEventListener("click", () => {
  remember("lang", root.lang === "ja" ? "en" : "ja");
  location.reload();
});

let words = null;

/** A function that gives the words for a key in the page's language, with {names} filled in. */
export async function loadWords() {
  words ??= await (await fetch(`/words/${root.lang}.json`)).json();
  return (key, values = {}) => (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}
