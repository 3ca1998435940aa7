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

// As `UTC+2`: what zones are called differs from language to language, and several share a name.
function zone(date) {
  const minutes = -date.getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `UTC${minutes < 0 ? "−" : "+"}${hours}${rest ? `:${pad(rest)}` : ""}`;
}

// The same shape as the server's, so that nothing moves.
function localTime(date) {
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return `${day} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())} ${zone(date)}`;
}

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const relative = new Intl.RelativeTimeFormat(root.lang, { numeric: "always", style: "long" });

// By how much this computer's clock is before the server's, in milliseconds. Asked for where a page says how long ago
// something was: until then it says nothing.
let ahead;

async function askTime() {
  ahead = null;
  try {
    const answer = await fetch("/v1/health", { method: "HEAD", cache: "no-store" });
    ahead = Date.now() - Date.parse(answer.headers.get("date"));
  } catch {
    // The moment itself stands beside it.
  }
  for (const span of document.querySelectorAll("[data-ago]")) showAgo(span);
}

function showAgo(span) {
  if (ahead === undefined) askTime();
  if (!Number.isFinite(ahead)) return;
  const secs = Math.round((Date.parse(span.dataset.ago) - Date.now() + ahead) / 1000);
  const text = span.firstChild;
  if (Number.isNaN(secs) || text?.nodeType !== Node.TEXT_NODE) return;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(secs) >= size) ?? UNITS.at(-1);
  // The server tells its time in whole seconds.
  const shown = relative.format(Math.abs(secs) < 5 ? -0 : Math.trunc(secs / size), unit);
  if (text.data !== shown) text.data = shown;
}

setInterval(() => {
  for (const span of document.querySelectorAll("[data-ago]")) showAgo(span);
}, 5000);

// What an axis has room for.
const SHAPES = { second: [11, 19], minute: [11, 16], day: [0, 10] };

function showLocal(time) {
  const date = new Date(time.dateTime);
  if (Number.isNaN(date.getTime())) return;
  // The text alone: an island that is yet to wake looks for the very nodes that the server sent.
  const text = time.firstChild;
  const local = localTime(date).slice(...(SHAPES[time.dataset.shape] ?? []));
  const shown = "zone" in time.dataset ? `${local} ${zone(date)}` : local;
  if (text?.nodeType !== Node.TEXT_NODE || text.data === shown) return;
  time.title = time.dateTime.replace("T", " ").replace("Z", " UTC");
  text.data = shown;
}

function showLocalTimes(element) {
  if (element.nodeType !== Node.ELEMENT_NODE) return;
  if (element.matches("[data-ago]")) showAgo(element);
  for (const span of element.querySelectorAll("[data-ago]")) showAgo(span);
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

// What the column under the pointer says, in the chart's heading.
document.addEventListener("pointerover", (event) => {
  const column = event.target instanceof Element ? event.target.closest(".chart .column") : null;
  for (const at of document.querySelectorAll(".chart-at:not(:empty)")) at.textContent = "";
  const at = column?.closest(".chart").querySelector(".chart-at");
  if (!at) return;
  const [value, time] = column.textContent.split(" · ");
  const date = new Date(time.replace(" ", "T").replace(" UTC", "Z"));
  at.textContent = `${value} · ${localTime(date).slice(0, 16)}`;
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
