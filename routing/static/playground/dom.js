// Elements and words. All that is not ours, a model's words above all, becomes text and never markup.

export const byId = (id) => document.getElementById(id);

export function element(name, facts = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(facts)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("aria-") || key === "role" || key === "for") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

// "{name}" in a sentence is replaced by what it is.
export const filled = (sentence, facts) => sentence.replace(/\{(\w+)\}/g, (whole, name) => facts[name] ?? whole);

const language = document.documentElement.lang;
export const number = (value, digits = 0) => Number(value).toLocaleString(language, { maximumFractionDigits: digits });
export const seconds = (milliseconds) => number(milliseconds / 1000, milliseconds < 10_000 ? 2 : 1);
export const roubles = (value) => `${number(value, 6)} ₽`;

// A dialog of the page's own; true for "yes".
export function answered(dialog) {
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

export function isSure(question) {
  byId("asking-text").textContent = question;
  return answered(byId("asking"));
}

export function noteCopied(button, text, done) {
  const said = button.textContent;
  navigator.clipboard.writeText(text).then(() => {
    button.textContent = done;
    setTimeout(() => { button.textContent = said; }, 2000);
  });
}
