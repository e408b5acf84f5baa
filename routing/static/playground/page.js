// The playground: columns of talks, one box for all of them, and what is around them.

import { byId, element, isSure, noteCopied } from "./dom.js";
import { Kept } from "./kept.js";
import { Settings } from "./settings.js";
import { asked, trust } from "./stream.js";
import { Talk } from "./talk.js";

const VERSION = 1; // of what is kept

class Page {
  constructor(place) {
    this.told = JSON.parse(place.dataset.told);
    this.words = this.told.words;
    this.spends = place.dataset.spends === "yes";
    this.place = place;
    this.isUnsaved = false;
    trust(place.querySelector("[name=csrfmiddlewaretoken]").value);
    this.settings = new Settings(this.words);
    this.kept = new Kept(this.told, this);
    this.talks = [];
    for (const name of this.#firstModels()) this.add(name);
    this.isUnsaved = false;
    this.#listen();
    if (!this.told.models.length) this.complain({ message: this.words.no_models });
  }

  #firstModels() {
    const known = this.told.chosen.filter((name) => this.told.models.some((model) => model.id === name));
    return known.length ? known : [this.told.models[0]?.id ?? ""];
  }

  #listen() {
    byId("add").addEventListener("click", () => this.add(this.#another(), this.talks[0]?.kept().turns));
    byId("clear").addEventListener("click", () => this.clear());
    byId("stop-all").addEventListener("click", () => this.talks.forEach((talk) => talk.stop()));
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    byId("prompt").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        this.send();
      }
    });
    window.addEventListener("beforeunload", (event) => { if (this.isUnsaved) event.preventDefault(); });
  }

  // A model that no column has, if there is one.
  #another() {
    const taken = this.talks.map((talk) => talk.model);
    return this.told.models.find((model) => !taken.includes(model.id))?.id ?? taken[0];
  }

  // --- Columns ---------------------------------------------------------------------------------------

  add(model, turns = []) {
    if (this.talks.length >= this.told.columns) return;
    const talk = new Talk(this.told, this);
    this.talks.push(talk);
    this.place.querySelector(".columns").append(talk.place);
    talk.fill({ model, turns: structuredClone(turns) });
    this.#arrange(talk);
  }

  remove(talk) {
    talk.stop();
    this.talks = this.talks.filter((each) => each !== talk);
    talk.place.remove();
    this.#arrange(this.talks[0]);
    this.changed();
  }

  #arrange(current) {
    this.place.dataset.columns = this.talks.length;
    this.talks.forEach((talk, index) => talk.call(index + 1, this.talks.length));
    byId("add").disabled = this.talks.length >= this.told.columns || !this.told.models.length;
    this.#showTabs(current);
    this.showState();
  }

  // On a narrow screen there is room for one column: the others are behind tabs.
  #showTabs(current) {
    const tabs = this.place.querySelector(".tabs");
    tabs.replaceChildren(...this.talks.map((talk) => {
      const tab = element("button", { class: "button plain", type: "button", textContent: talk.model, "aria-pressed": String(talk === current) });
      tab.addEventListener("click", () => this.#showTabs(talk));
      return tab;
    }));
    tabs.hidden = this.talks.length < 2;
    for (const talk of this.talks) talk.place.classList.toggle("current", talk === current);
  }

  // --- Asking ----------------------------------------------------------------------------------------

  async send() {
    const text = byId("prompt").value.trim();
    if (!this.spends || this.isBusy || !this.told.models.length) return;
    this.#quiet();
    if (!text) return this.complain({ message: this.words.no_prompt });
    if (!this.settings.parameters()) {
      this.settings.showWhatIsWrong();
      return this.complain({ message: this.words.fix });
    }
    byId("prompt").value = "";
    for (const talk of this.talks) talk.say(text);
    await Promise.all(this.talks.map((talk) => talk.ask()));
    byId("prompt").focus({ preventScroll: true });
  }

  get isBusy() {
    return this.talks.some((talk) => talk.isBusy);
  }

  showState() {
    byId("send").disabled = !this.spends || this.isBusy;
    byId("stop-all").hidden = !this.isBusy;
    byId("status").textContent = this.isBusy ? this.words.thinks : this.#lastState();
  }

  #lastState() {
    const states = this.talks.map((talk) => talk.turns.at(-1)?.state);
    if (states.includes("failed")) return this.words.failed;
    if (states.includes("stopped")) return this.words.stopped;
    return states.includes("whole") ? this.words.ready : "";
  }

  changed() {
    this.isUnsaved = this.talks.some((talk) => talk.turns.length);
    const current = this.talks.find((talk) => talk.place.classList.contains("current"));
    if (current) this.#showTabs(current);
  }

  async clear() {
    if (this.isUnsaved && !await isSure(this.words.sure_clear)) return;
    for (const talk of this.talks) talk.clear();
    this.kept.forget();
    this.isUnsaved = false;
    this.#quiet();
    byId("prompt").focus();
  }

  // --- Code ------------------------------------------------------------------------------------------

  async showCode(talk) {
    const parameters = this.settings.parameters();
    if (!parameters) return this.settings.showWhatIsWrong();
    const messages = talk.messages();
    const text = byId("prompt").value.trim();
    if (text || !messages.some((message) => message.role === "user")) {
      messages.push({ role: "user", content: text || this.words.hello });
    }
    try {
      const { programs } = await asked(this.told.addresses.code, "POST", { model: talk.model, messages, ...parameters });
      byId("code").querySelector(".programs").replaceChildren(...programs.map((program) => this.#program(program)));
      byId("code").showModal();
    } catch (error) {
      this.complain(error);
    }
  }

  #program({ title, name, code }) {
    const copy = element("button", { class: "link", type: "button", textContent: this.words.copy, hidden: !navigator.clipboard });
    copy.addEventListener("click", () => noteCopied(copy, code, this.words.copied));
    return element(
      "figure",
      {},
      element("figcaption", {}, title, copy),
      element("pre", { tabIndex: 0 }, element("code", { id: name, textContent: code })),
    );
  }

  // --- Keeping ---------------------------------------------------------------------------------------

  asKept() {
    return { version: VERSION, settings: this.settings.told(), talks: this.talks.map((talk) => talk.kept()) };
  }

  firstWords() {
    return this.talks.flatMap((talk) => talk.turns).find((turn) => turn.role === "user")?.content ?? "";
  }

  fill(body) {
    const talks = body?.talks;
    if (body?.version !== VERSION || !Array.isArray(talks) || !talks.length) throw new Error(this.words.unreadable);
    for (const talk of this.talks) { talk.stop(); talk.place.remove(); }
    this.talks = [];
    this.settings.fill(body.settings);
    for (const kept of talks) this.add(kept.model, kept.turns);
    this.isUnsaved = false;
  }

  saved() {
    this.isUnsaved = false;
  }

  // --- Telling ---------------------------------------------------------------------------------------

  tell(text) {
    this.#quiet();
    byId("status").textContent = text;
  }

  complain({ kind, message }) {
    byId("notice").textContent = message || this.words[kind] || this.words.unknown;
    byId("notice").hidden = false;
  }

  #quiet() {
    byId("notice").hidden = true;
  }
}

new Page(byId("playground"));
