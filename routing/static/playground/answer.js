// One answer on the page: what was said, thought and called, what it cost, and why it came from where it came.

import { byId, element, filled, number, roubles, seconds } from "./dom.js";
import { formatted } from "./text.js";

const NUMBER = /^gen-([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/;

// A generation's number as addresses have it; "" for what is none.
export function numberOf(name) {
  const found = NUMBER.exec(name || "");
  return found ? found.slice(1).join("-") : "";
}

export class AnswerView {
  constructor(turn, told) {
    this.turn = turn;
    this.words = told.words;
    this.addresses = told.addresses;
    this.label = element("p", { class: "label" });
    this.thoughts = element("details", { class: "thoughts", hidden: true }, element("summary", { textContent: this.words.thoughts }), element("div"));
    this.said = element("div", { class: "said" });
    this.calls = element("div", { class: "calls" });
    this.wrong = element("p", { class: "alert", hidden: true });
    this.facts = element("p", { class: "facts quiet" });
    this.route = element("details", { class: "route", hidden: true });
    this.place = element("div", { class: "answer" }, this.label, this.thoughts, this.said, this.calls, this.wrong, this.facts, this.route);
    this.isDue = false;
    this.show();
  }

  // Events come faster than screens are drawn.
  showSoon() {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.showOn();
    });
  }

  // Whoever sees the end of an answer goes on to see it.
  showOn() {
    const wasSeen = this.#isEndSeen();
    this.show();
    if (wasSeen) this.place.scrollIntoView({ block: "end" });
  }

  // Who has scrolled up to read is left there.
  #isEndSeen() {
    const { bottom } = this.place.getBoundingClientRect();
    return bottom > 0 && bottom <= byId("composer").getBoundingClientRect().top + 40;
  }

  show() {
    const { turn, words } = this;
    this.place.dataset.state = turn.state;
    this.#showLabel();
    this.thoughts.hidden = !turn.reasoning;
    this.thoughts.lastChild.textContent = turn.reasoning;
    this.said.replaceChildren(formatted(turn.content));
    this.calls.replaceChildren(...turn.calls.map((call) => element(
      "figure",
      {},
      element("figcaption", { textContent: filled(words.call, { name: call.name }) }),
      element("pre", { tabIndex: 0 }, element("code", { textContent: indented(call.arguments) })),
    )));
    this.#showWrong();
    this.#showFacts();
    if (turn.state !== "on its way") this.#showRoute();
  }

  #showLabel() {
    const { turn, words } = this;
    const facts = turn.facts;
    this.label.replaceChildren(
      element("strong", { textContent: facts.model || turn.asked }),
      facts.provider ? ` · ${filled(words.provider, { name: facts.provider })}` : "",
      facts.twin ? element("span", { class: "tag", textContent: words.twin }) : "",
      turn.state === "on its way" ? element("span", { class: "tag", textContent: words.thinks }) : "",
    );
  }

  #showWrong() {
    const { turn, words } = this;
    const told = turn.error;
    this.wrong.hidden = !told;
    if (!told) return this.wrong.replaceChildren();
    const isCut = turn.content && told.kind.startsWith("provider_");
    const kind = isCut ? words.cut : words.refusals[told.kind];
    const said = kind || words[told.kind] || told.message || words.unknown;
    this.wrong.replaceChildren(
      element("strong", { textContent: said }),
      told.message && told.message !== said ? element("span", { class: "detail", lang: "ru", textContent: told.message }) : "",
      told.requestId ? element("span", { class: "detail" }, `${words.request_id}: `, element("code", { textContent: told.requestId })) : "",
      told.kind === "session" ? element("a", { href: this.addresses.login, textContent: words.login }) : "",
      told.kind === "insufficient_funds" ? element("a", { href: this.addresses.billing, textContent: words.top_up }) : "",
    );
  }

  #showFacts() {
    const { turn, words } = this;
    const facts = turn.facts;
    const told = [];
    if (facts.prompt !== undefined) told.push(filled(words.tokens, { prompt: number(facts.prompt), completion: number(facts.completion) }));
    if (facts.thoughts) told.push(filled(words.thoughts_tokens, { count: number(facts.thoughts) }));
    if (facts.cost !== undefined) told.push(roubles(facts.cost));
    if (facts.first !== undefined) told.push(filled(words.first, { time: seconds(facts.first) }));
    if (facts.total !== undefined) told.push(filled(words.total, { time: seconds(facts.total) }));
    if (facts.estimated) told.push(words.estimated);
    const remarks = [];
    if (turn.state === "stopped") remarks.push(words.stopped);
    if (words[`finish_${facts.finish}`]) remarks.push(words[`finish_${facts.finish}`]);
    if (facts.limit) remarks.push(filled(words.limited, { count: number(facts.limit) }));
    if (facts.dropped) remarks.push(filled(words.dropped, { names: facts.dropped }));
    const id = numberOf(facts.id);
    this.facts.replaceChildren(
      ...remarks.map((remark) => element("span", { class: "remark", textContent: remark })),
      told.join(" · "),
      id ? element("a", { class: "more", href: `${this.addresses.generations}${id}/`, textContent: words.generation }) : "",
    );
  }

  #showRoute() {
    const told = this.turn.facts.route;
    this.route.hidden = !told;
    if (!told || this.route.firstChild) return;
    const { words } = this;
    const task = told.task ? filled(words.task, { task: told.task }) : "";
    this.route.append(
      element("summary", { textContent: words.route }),
      element("p", { textContent: [words.strategies[told.strategy] || told.strategy, task].join(" ").trim() }),
      ...listed(words.candidates, told.candidates.map((each) => [
        `${each.provider} · ${each.model}`,
        filled(words.candidate, { cost: roubles(each.cost), time: seconds(each.late) }),
      ].join(" — "))),
      ...listed(words.excluded, told.excluded.map((each) => `${each.provider} · ${each.model} — ${each.message}`)),
      ...listed(words.attempts, told.attempts.map((each) => `${each.provider}: ${each.outcome}, ${number(each.ms)} ${words.milliseconds}`)),
    );
  }
}

function listed(title, lines) {
  if (!lines.length) return [];
  return [element("p", { class: "heading", textContent: title }), element("ol", {}, ...lines.map((line) => element("li", { textContent: line })))];
}

// Arguments may be cut, or no JSON at all.
function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
