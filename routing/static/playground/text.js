// A model's words as people read them: paragraphs, lists, headings, bold and code, made element by element.
// Nothing of it is ever parsed as HTML; links and images stay the text that they are.

import { element } from "./dom.js";

const FENCE = /^\s*```(\S*)\s*$/;
const HEADING = /^(#{1,6})\s+(.*)$/;
const ITEM = /^\s*(?:[-*•]|(\d{1,9})[.)])\s+(.*)$/;
const INLINE = /(`[^`\n]+`|\*\*[^*\n]+\*\*)/;

export function formatted(text) {
  const made = document.createDocumentFragment();
  const lines = text.split("\n");
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    if (FENCE.test(line)) at = fenced(made, lines, at);
    else if (ITEM.test(line)) at = listed(made, lines, at);
    else if (HEADING.test(line)) made.append(headed(lines[at++]));
    else if (line.trim()) at = told(made, lines, at);
    else at++;
  }
  return made;
}

function fenced(made, lines, at) {
  const rest = lines.slice(at + 1);
  const end = rest.findIndex((line) => FENCE.test(line));
  const code = end < 0 ? rest : rest.slice(0, end); // not closed yet: the answer is on its way
  made.append(element("pre", { tabIndex: 0 }, element("code", { textContent: code.join("\n") })));
  return end < 0 ? lines.length : at + end + 2;
}

function listed(made, lines, at) {
  const first = ITEM.exec(lines[at])[1];
  const list = element(first ? "ol" : "ul");
  if (first) list.start = Number(first);
  let found;
  while (at < lines.length && (found = ITEM.exec(lines[at])) && Boolean(found[1]) === Boolean(first)) {
    list.append(element("li", {}, ...inline(found[2])));
    at++;
  }
  made.append(list);
  return at;
}

function headed(line) {
  return element("p", { class: "heading" }, element("strong", {}, ...inline(HEADING.exec(line)[2])));
}

function told(made, lines, at) {
  const from = at;
  while (at < lines.length && lines[at].trim() && !FENCE.test(lines[at])) {
    if (at > from && (ITEM.test(lines[at]) || HEADING.test(lines[at]))) break;
    at++;
  }
  made.append(element("p", {}, ...inline(lines.slice(from, at).join("\n"))));
  return at;
}

function inline(text) {
  return text.split(INLINE).map((part, index) => {
    if (index % 2 === 0) return part;
    if (part.startsWith("`")) return element("code", { textContent: part.slice(1, -1) });
    return element("strong", { textContent: part.slice(2, -2) });
  });
}
