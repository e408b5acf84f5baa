// One column: a model, what has been said, and the answer that is on its way.

import { AnswerView, numberOf } from "./answer.js";
import { byId, element, filled, number } from "./dom.js";
import { Refused, asked, refusalOf, streamed } from "./stream.js";

// How often, and after how many milliseconds, it is asked what a stopped answer has cost.
const LOOKS = 10;
const PAUSE = 300;

export class Talk {
  constructor(told, page) {
    this.told = told;
    this.page = page;
    this.turns = [];
    this.halting = null;
    this.place = byId("column").content.firstElementChild.cloneNode(true);
    this.list = this.#find(".turns");
    this.picker = this.#find(".model");
    this.#offer();
    this.picker.addEventListener("change", () => { this.#showPrice(); page.changed(); });
    this.#find(".remove").addEventListener("click", () => page.remove(this));
    this.#find(".show-code").addEventListener("click", () => page.showCode(this));
    this.#find(".halt").addEventListener("click", () => this.stop());
    this.#find(".retry").addEventListener("click", () => this.retry());
  }

  #find(selector) {
    return this.place.querySelector(selector);
  }

  #offer() {
    const groups = new Map();
    for (const model of this.told.models) {
      if (!groups.has(model.provider)) groups.set(model.provider, element("optgroup", { label: model.provider }));
      groups.get(model.provider).append(element("option", { value: model.id, textContent: model.name === model.id ? model.id : `${model.name} — ${model.id}` }));
    }
    this.picker.append(...groups.values());
  }

  get model() {
    return this.picker.value;
  }

  set model(name) {
    if (this.told.models.some((model) => model.id === name)) this.picker.value = name;
    this.#showPrice();
  }

  get isBusy() {
    return this.halting !== null;
  }

  call(position, count) {
    const id = `model-${position}`;
    const label = this.#find("label");
    label.textContent = count > 1 ? filled(this.told.words.column, { number: position }) : this.told.words.model;
    label.htmlFor = this.picker.id = id;
    this.list.setAttribute("aria-label", filled(this.told.words.talk, { number: position }));
    this.#find(".remove").hidden = count === 1;
  }

  // What has been said, as requests tell it.
  messages() {
    const told = [];
    for (const [index, turn] of this.turns.entries()) {
      if (turn.role === "user") {
        // A question that was not answered is not asked again beside the next one.
        if (told.at(-1)?.role === "user") told.pop();
        told.push({ role: "user", content: turn.content });
      } else if (turn.role === "tool") {
        told.push({ role: "tool", tool_call_id: turn.id, content: turn.content });
      } else if (turn.role === "assistant") {
        const hasResults = turn.calls.length > 0 && this.turns[index + 1]?.role === "tool";
        if (!turn.content && !hasResults) continue;
        const calls = turn.calls.map(({ id, name, arguments: said }) => ({ id, type: "function", function: { name, arguments: said } }));
        told.push({ role: "assistant", content: turn.content || null, ...(hasResults ? { tool_calls: calls } : {}) });
      }
    }
    const system = this.page.settings.system;
    return system ? [{ role: "system", content: system }, ...told] : told;
  }

  say(text) {
    this.#add({ role: "user", content: text });
  }

  async ask() {
    const parameters = this.page.settings.parameters();
    if (!parameters || this.isBusy) return;
    this.#forgetResultForms();
    const chat = { model: this.model, messages: this.messages(), ...parameters, stream: true, stream_options: { include_usage: true } };
    const turn = { role: "assistant", asked: this.model, content: "", reasoning: "", calls: [], facts: {}, state: "on its way" };
    const view = this.#add(turn);
    this.halting = new AbortController();
    this.requestId = "";
    this.#showState();
    try {
      await this.#hear(chat, turn, view);
      turn.state = "whole";
    } catch (error) {
      this.#fail(turn, error);
    }
    this.halting = null;
    view.showOn();
    this.#showState();
    this.#offerResults(turn);
    if (turn.state === "stopped" || (turn.error && turn.content)) this.#learnCost(turn, view);
  }

  // Before anything is taken from the page or put there.
  #mayAsk() {
    if (this.isBusy || !this.page.spends) return false;
    if (this.page.settings.parameters()) return true;
    this.page.settings.showWhatIsWrong();
    return false;
  }

  async #hear(chat, turn, view) {
    const began = performance.now();
    const facts = turn.facts;
    const head = (headers) => {
      facts.id = headers.get("x-generation-id") || undefined;
      facts.dropped = headers.get("x-xrouter-dropped") || undefined;
      this.requestId = headers.get("x-request-id") || "";
    };
    try {
      for await (const chunk of streamed(this.told.addresses.chat, chat, this.halting.signal, head)) {
        if (note(turn, chunk) && facts.first === undefined) facts.first = performance.now() - began;
        if (chunk.error) throw refusalOf(chunk.error);
        view.showSoon();
      }
    } finally {
      facts.total = performance.now() - began;
    }
  }

  #fail(turn, error) {
    if (error.name === "AbortError") {
      turn.state = "stopped";
      return;
    }
    turn.state = "failed";
    if (!(error instanceof Refused)) console.warn(error.name); // no word of the conversation
    const kind = error instanceof Refused ? error.kind : "unknown";
    const said = error instanceof Refused ? error.message : "";
    turn.error = { kind, message: said, requestId: error.requestId || this.requestId };
  }

  // Whoever hangs up gets no last event; what he has paid is known a moment later.
  async #learnCost(turn, view) {
    const id = numberOf(turn.facts.id);
    for (let look = 0; id && look < LOOKS; look++) {
      await new Promise((resolve) => { setTimeout(resolve, PAUSE); });
      const told = await asked(`${this.told.addresses.answers}${id}/`).catch(() => null);
      if (!told) continue;
      Object.assign(turn.facts, { prompt: told.tokens_prompt, completion: told.tokens_completion, cost: told.cost });
      turn.facts.model ??= told.model;
      turn.facts.provider ??= told.provider;
      view.show();
      return;
    }
  }

  stop() {
    this.halting?.abort();
  }

  retry() {
    if (!this.#mayAsk()) return;
    while (this.turns.at(-1)?.role === "assistant") this.#drop();
    if (this.turns.length) this.ask();
  }

  clear() {
    this.stop();
    this.turns = [];
    this.list.replaceChildren();
    this.#showState();
  }

  #drop() {
    this.turns.pop();
    this.#forgetResultForms();
    this.list.lastElementChild.remove();
  }

  #add(turn) {
    this.turns.push(turn);
    this.page.changed();
    const view = turn.role === "assistant" ? new AnswerView(turn, this.told) : null;
    const title = turn.role === "user" ? this.told.words.you : filled(this.told.words.result, { name: turn.name });
    const place = view?.place ?? element(
      "div",
      { class: turn.role },
      element("p", { class: "label" }, element("strong", { textContent: title })),
      element("div", { class: "said plain", textContent: turn.content }),
    );
    this.list.append(place);
    place.scrollIntoView({ block: "nearest" });
    return view;
  }

  // --- Calls: the person is the program that answers them ------------------------------------------

  #offerResults(turn) {
    if (!this.page.spends || !turn.calls.length || turn.state !== "whole" || turn !== this.turns.at(-1)) return;
    const { words } = this.told;
    const fields = turn.calls.map((call) => element("textarea", { rows: 3, "aria-label": filled(words.result, { name: call.name }) }));
    const labels = turn.calls.map((call, index) => element("label", { class: "field" }, filled(words.result, { name: call.name }), fields[index]));
    const form = element("form", { class: "results" }, ...labels, element("button", { class: "button plain", textContent: words.give }));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#mayAsk()) return;
      turn.calls.forEach((call, index) => this.#add({ role: "tool", id: call.id, name: call.name, content: fields[index].value }));
      this.ask();
    });
    this.list.lastElementChild.append(form);
  }

  #forgetResultForms() {
    for (const form of this.list.querySelectorAll(".results")) form.remove();
  }

  #showState() {
    this.place.setAttribute("aria-busy", String(this.isBusy));
    this.list.setAttribute("aria-busy", String(this.isBusy));
    this.#find(".halt").hidden = !this.isBusy;
    this.#find(".retry").hidden = this.isBusy || !this.turns.length || !this.page.spends;
    this.page.showState(this);
  }

  #showPrice() {
    const price = this.told.models.find((model) => model.id === this.model)?.pricing;
    const told = price && { prompt: number(price.prompt, 6), completion: number(price.completion, 6) };
    this.#find(".price").textContent = told ? filled(this.told.words.per_thousand, told) : "";
  }

  // --- To be kept, and to be opened again ------------------------------------------------------------

  kept() {
    return { model: this.model, turns: this.turns.filter((turn) => turn.state !== "on its way") };
  }

  fill(kept) {
    this.clear();
    this.model = kept.model;
    for (const turn of kept.turns) this.#add(known(turn));
    if (this.turns.at(-1)?.role === "assistant") this.#offerResults(this.turns.at(-1));
    this.#showState();
  }
}

// What a chunk adds; whether it is output.
function note(turn, chunk) {
  const facts = turn.facts;
  if (chunk.id) facts.id = chunk.id;
  if (chunk.model) facts.model = chunk.model;
  if (chunk.provider) facts.provider = chunk.provider;
  if (chunk.system_fingerprint === "twin") facts.twin = true;
  if (chunk.usage) noteUsage(facts, chunk.usage);
  if (chunk.xrouter) facts.route = routeOf(chunk.xrouter);
  const choice = chunk.choices?.[0];
  if (!choice) return false;
  if (choice.finish_reason) facts.finish = choice.finish_reason;
  const { content, reasoning, tool_calls: calls = [] } = choice.delta ?? {};
  turn.content += content ?? "";
  turn.reasoning += reasoning ?? "";
  for (const call of calls) noteCall(turn.calls, call);
  return Boolean(content || reasoning || calls.length);
}

function noteUsage(facts, usage) {
  facts.prompt = usage.prompt_tokens;
  facts.completion = usage.completion_tokens;
  facts.thoughts = usage.completion_tokens_details?.reasoning_tokens || undefined;
  facts.cost = usage.cost;
  facts.estimated = usage.cost_details?.usage_source === "estimated" || undefined;
  facts.limit = usage.cost_details?.limited_by ? usage.cost_details.max_tokens : undefined;
}

function noteCall(calls, part) {
  const call = (calls[part.index] ??= { id: "", name: "", arguments: "" });
  if (part.id) call.id = part.id;
  call.name += part.function?.name ?? "";
  call.arguments += part.function?.arguments ?? "";
}

function routeOf({ route, attempts }) {
  return {
    strategy: route.strategy,
    task: route.task,
    candidates: route.candidates.map((each) => ({ provider: each.provider, model: each.model, cost: each.expected_cost, late: each.predicted.first_token_ms })),
    excluded: route.excluded.map(({ provider, model, message }) => ({ provider, model, message })),
    attempts: attempts.map(({ provider, outcome, ms }) => ({ provider, outcome, ms })),
  };
}

// A kept turn in the form that we know, whatever else it says.
function known(turn) {
  const text = (value) => (typeof value === "string" ? value : "");
  if (turn.role !== "assistant") return { role: turn.role === "tool" ? "tool" : "user", id: text(turn.id), name: text(turn.name), content: text(turn.content) };
  const calls = (turn.calls ?? []).map((call) => ({ id: text(call.id), name: text(call.name), arguments: text(call.arguments) }));
  return { role: "assistant", asked: text(turn.asked), content: text(turn.content), reasoning: text(turn.reasoning), calls, facts: turn.facts ?? {}, state: text(turn.state), error: turn.error };
}
