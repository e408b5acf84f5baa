// Conversations that were kept at their author's wish: saved, listed, opened, renamed, deleted.

import { answered, byId, element, filled, isSure } from "./dom.js";
import { asked } from "./stream.js";

const LONGEST_TITLE = 60;

export class Kept {
  constructor(told, page) {
    this.words = told.words;
    this.address = told.addresses.conversations;
    this.page = page;
    this.current = null; // {id, title} of what is on the page
    byId("kept").addEventListener("toggle", () => { if (byId("kept").open) this.list(); });
    byId("save").addEventListener("click", () => this.save());
    byId("delete-all").addEventListener("click", () => this.deleteAll());
  }

  forget() {
    this.current = null;
    byId("current").textContent = "";
  }

  async save() {
    const body = this.page.asKept();
    const title = this.current?.title ?? await this.#named(this.page.firstWords().slice(0, LONGEST_TITLE));
    if (title === null) return;
    await this.#trying(async () => {
      const address = this.current ? `${this.address}${this.current.id}/` : this.address;
      const { id } = await asked(address, "POST", { title, body });
      this.#isNow(id, title);
      this.page.saved();
      this.page.tell(this.words.saved);
      if (byId("kept").open) await this.list();
    });
  }

  async list() {
    await this.#trying(async () => {
      const { conversations } = await asked(this.address);
      byId("conversations").replaceChildren(...conversations.map((each) => this.#row(each)));
      if (!conversations.length) byId("conversations").append(element("li", { class: "quiet", textContent: this.words.empty }));
      byId("delete-all").hidden = !conversations.length;
    });
  }

  #row({ id, title, changed_at: at }) {
    const button = (name, act) => {
      const made = element("button", { class: "link", type: "button", textContent: name, "aria-label": `${name}: ${title}` });
      made.addEventListener("click", act);
      return made;
    };
    const when = new Date(at).toLocaleString(document.documentElement.lang, { dateStyle: "short", timeStyle: "short" });
    return element(
      "li",
      {},
      button(this.words.open, () => this.open(id)),
      element("span", { class: "title", textContent: title }),
      element("span", { class: "quiet", textContent: when }),
      button(this.words.rename, () => this.rename(id, title)),
      button(this.words.delete, () => this.remove(id, title)),
    );
  }

  async open(id) {
    if (this.page.isUnsaved && !await isSure(this.words.sure_open)) return;
    await this.#trying(async () => {
      const { title, body } = await asked(`${this.address}${id}/`);
      this.page.fill(body);
      this.#isNow(id, title);
      byId("kept").open = false;
    });
  }

  async rename(id, before) {
    const title = await this.#named(before);
    if (title === null) return;
    await this.#trying(async () => {
      await asked(`${this.address}${id}/`, "POST", { title });
      if (this.current?.id === id) this.#isNow(id, title);
      await this.list();
    });
  }

  async remove(id, title) {
    if (!await isSure(filled(this.words.sure, { title }))) return;
    await this.#trying(async () => {
      await asked(`${this.address}${id}/`, "DELETE");
      if (this.current?.id === id) this.forget();
      this.page.tell(this.words.deleted);
      await this.list();
    });
  }

  async deleteAll() {
    if (!await isSure(this.words.sure_all)) return;
    await this.#trying(async () => {
      await asked(this.address, "DELETE");
      this.forget();
      this.page.tell(this.words.deleted);
      await this.list();
    });
  }

  #isNow(id, title) {
    this.current = { id, title };
    byId("current").textContent = title;
  }

  async #named(before) {
    const field = byId("naming-text");
    field.value = before;
    const isNamed = await answered(byId("naming"));
    return isNamed && field.value.trim() ? field.value.trim() : null;
  }

  async #trying(act) {
    try {
      await act();
    } catch (error) {
      this.page.complain(error);
    }
  }
}
