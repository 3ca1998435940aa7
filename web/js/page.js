// What every page does without Wasm: theme, times in the reader's zone, copying, forms that send
// themselves. Then it wakes the page's islands, if there are any.
const root = document.documentElement;
const assets = document.getElementById("page-script").dataset;

function setTheme(theme) {
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
  try {
    if (theme) localStorage.setItem("tessera-theme", theme);
    else localStorage.removeItem("tessera-theme");
  } catch {
    // It holds for this page at least.
  }
  for (const field of document.querySelectorAll("[data-theme-field]")) field.value = theme ?? "";
}

function nextTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const shown = root.dataset.theme ?? (dark ? "dark" : "light");
  setTheme(shown === "dark" ? "light" : "dark");
}

const pad = (number) => String(number).padStart(2, "0");

// The same shape as the server's, so that nothing moves.
function localTime(date) {
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return `${day} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

function showLocal(time) {
  const date = new Date(time.dateTime);
  if (Number.isNaN(date.getTime())) return;
  // The text alone: an island that is yet to wake looks for the very nodes that the server sent.
  const text = time.firstChild;
  const shown = localTime(date);
  if (text?.nodeType !== Node.TEXT_NODE || text.data === shown) return;
  time.title = time.dateTime.replace("T", " ").replace("Z", " UTC");
  text.data = shown;
}

function showLocalTimes(element) {
  if (element.nodeType !== Node.ELEMENT_NODE) return;
  if (element.matches("time[datetime]")) showLocal(element);
  for (const time of element.querySelectorAll("time[datetime]")) showLocal(time);
}

showLocalTimes(document.body);
new MutationObserver((changes) => {
  for (const change of changes) {
    if (change.type === "attributes") showLocal(change.target);
    for (const node of change.addedNodes) showLocalTimes(node);
  }
}).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["datetime"] });

try {
  for (const field of document.querySelectorAll("[data-theme-field]")) field.value = localStorage.getItem("tessera-theme") ?? "";
} catch {
  // Nothing is kept, nothing is shown as chosen.
}

document.addEventListener("click", async (event) => {
  const target = event.target instanceof Element ? event.target : null;
  if (target?.closest("[data-theme-button]")) nextTheme();
  const language = target?.closest("[data-lang-link]");
  if (language) document.cookie = `tessera_lang=${language.dataset.langLink}; path=/; max-age=31536000; samesite=lax`;
  const copy = target?.closest("[data-copy]");
  if (copy) {
    const source = document.getElementById(copy.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      copy.dataset.copied = "";
    } catch {
      getSelection().selectAllChildren(source);
    }
  }
});

document.addEventListener("change", (event) => {
  const target = event.target;
  if (!(target instanceof HTMLSelectElement || target instanceof HTMLInputElement)) return;
  if ("themeField" in target.dataset) setTheme(target.value || undefined);
  if ("langField" in target.dataset) {
    document.cookie = `tessera_lang=${target.value}; path=/; max-age=31536000; samesite=lax`;
    location.search = `?lang=${target.value}`;
  }
  if ("submits" in target.dataset) target.form.requestSubmit();
});

const islands = document.querySelectorAll("leptos-island");
if (islands.length > 0) {
  const web = await import(assets.web);
  await web.default({ module_or_path: assets.wasm });
  web.hydrate();
  for (const island of islands) web[island.dataset.component](island);
}
root.dataset.ready = "";
performance.mark("ready");
