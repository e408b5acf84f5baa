// What htmx leaves to the page it works in: an answer that belongs elsewhere, one that did not come, focus, history.
// Without it forms and links lead to whole pages, which have the same in them.

const unchanged = () => document.getElementById("unchanged");
const here = () => location.pathname + location.search;
const pathOf = (address) => new URL(address, location.href).pathname;

// Whoever is asked to sign in, or sent elsewhere, goes there with the whole page.
addEventListener("htmx:beforeOnLoad", (event) => {
  const { xhr, pathInfo } = event.detail;
  if (!xhr.responseURL || pathOf(xhr.responseURL) === pathOf(pathInfo.finalRequestPath)) return;
  event.preventDefault();
  location.assign(xhr.responseURL);
});

// Back and forth: what was here is asked of the server anew. If it does not say, the browser tells why.
addEventListener("htmx:historyCacheMissLoad", ({ detail: { xhr, path } }) => {
  if (pathOf(xhr.responseURL) !== pathOf(path)) location.assign(xhr.responseURL);
});
addEventListener("htmx:historyCacheMissLoadError", () => location.reload());

// The same address twice would make a step back that leads nowhere.
addEventListener("htmx:beforeHistoryUpdate", ({ detail: { history } }) => {
  if (history.path === here()) history.type = "replace";
});

function tell({ detail: { pathInfo } }) {
  const told = unchanged();
  if (!told) return;
  told.querySelector("a").href = pathInfo.finalRequestPath;
  told.hidden = false;
}

for (const failure of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) addEventListener(failure, tell);

addEventListener("htmx:beforeRequest", ({ detail: { target } }) => target.setAttribute("aria-busy", "true"));
addEventListener("htmx:afterRequest", ({ detail: { target } }) => target.removeAttribute("aria-busy"));

// What somebody has chosen while the answer was on its way stays chosen.
addEventListener("htmx:oobBeforeSwap", ({ detail: { target, fragment } }) => {
  if (!target.matches("select")) return;
  for (const option of fragment.querySelectorAll("option")) option.toggleAttribute("selected", option.value === target.value);
});

let last = null; // of the rows that others are added to

addEventListener("htmx:beforeSwap", ({ detail: { target, shouldSwap } }) => {
  if (!shouldSwap) return;
  last = target.lastElementChild;
  if (unchanged()) unchanged().hidden = true;
});

// What had the focus may be gone: then it goes to what came.
addEventListener("htmx:afterSettle", () => {
  const next = document.querySelector("footer [name=next]"); // where the choice of a language leads
  if (next) next.value = here();
  if (document.activeElement !== document.body) return;
  const added = last?.isConnected ? last.nextElementSibling?.querySelector("a") : null;
  (added ?? document.getElementById("part"))?.focus({ preventScroll: true });
});
