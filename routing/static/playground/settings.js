// The fields of a request: what they say, what is wrong with them, and how they are filled again.

import { byId, element, filled } from "./dom.js";

const NUMBERS = {
  temperature: { least: 0, most: 2 },
  top_p: { least: 0, most: 1 },
  max_tokens: { least: 1, isWhole: true },
  seed: { isWhole: true },
};
const TEXTS = ["system", "temperature", "top_p", "max_tokens", "seed", "stop", "reasoning_effort", "sort", "tools", "response_format"];
const EXAMPLES = {
  tools: [{
    type: "function",
    function: {
      name: "get_weather",
      description: "Погода в городе сейчас",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  }],
  response_format: {
    type: "json_schema",
    json_schema: {
      name: "person",
      strict: true,
      schema: {
        type: "object",
        properties: { name: { type: "string" }, age: { type: "integer" } },
        required: ["name", "age"],
        additionalProperties: false,
      },
    },
  },
};

class Wrong extends Error {}

export class Settings {
  constructor(words) {
    this.words = words;
    for (const name of TEXTS) byId(name).addEventListener("change", () => { this.parameters(); });
    for (const button of document.querySelectorAll("[data-example]")) {
      button.addEventListener("click", () => {
        const name = button.dataset.example;
        byId(name).value = JSON.stringify(EXAMPLES[name], null, 2);
        this.parameters();
        byId(name).focus();
      });
    }
  }

  get system() {
    return byId("system").value.trim();
  }

  // The fields of a chat; null where one of them is wrong, of which it tells beside the field.
  parameters() {
    const chat = {};
    const read = {
      ...Object.fromEntries(Object.keys(NUMBERS).map((name) => [name, () => this.#number(name)])),
      stop: () => this.#stop(),
      tools: () => this.#tools(),
      response_format: () => this.#object("response_format"),
    };
    let isRight = true;
    for (const [name, value] of Object.entries(read)) {
      try {
        const said = value();
        if (said !== undefined) chat[name] = said;
        note(name, "");
      } catch (error) {
        if (!(error instanceof Wrong)) throw error;
        note(name, error.message);
        isRight = false;
      }
    }
    if (byId("reasoning_effort").value) chat.reasoning_effort = byId("reasoning_effort").value;
    if (byId("sort").value) chat.provider = { sort: byId("sort").value };
    return isRight ? chat : null;
  }

  showWhatIsWrong() {
    byId("settings").open = true;
    document.querySelector("#settings [aria-invalid=true]")?.focus();
  }

  told() {
    return Object.fromEntries(TEXTS.map((name) => [name, byId(name).value]).filter(([, value]) => value));
  }

  fill(told) {
    for (const name of TEXTS) byId(name).value = typeof told?.[name] === "string" ? told[name] : "";
    this.parameters();
  }

  #number(name) {
    const text = byId(name).value.trim().replace(",", ".");
    if (!text) return undefined;
    const { least, most, isWhole } = NUMBERS[name];
    const value = Number(text);
    if (!Number.isFinite(value)) throw new Wrong(isWhole ? this.words.no_whole : this.words.no_number);
    if (isWhole && !Number.isSafeInteger(value)) throw new Wrong(this.words.no_whole);
    if (value < least || value > most) {
      throw new Wrong(filled(most === undefined ? this.words.least : this.words.range, { least, most }));
    }
    return value;
  }

  #stop() {
    const lines = byId("stop").value.split("\n").filter((line) => line);
    if (lines.length > 4) throw new Wrong(this.words.four_stops);
    return lines.length ? lines : undefined;
  }

  #json(name) {
    const text = byId(name).value.trim();
    if (!text) return undefined;
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new Wrong(this.#whereIn(byId(name).value, error.message));
    }
  }

  // Browsers tell the place in words of their own.
  #whereIn(text, said) {
    const [, at] = /position (\d+)/.exec(said) || [];
    let [, line, column] = /line (\d+) column (\d+)/.exec(said) || [];
    if (at !== undefined && line === undefined) {
      const before = text.trimStart().slice(0, Number(at)).split("\n");
      line = before.length + text.slice(0, text.length - text.trimStart().length).split("\n").length - 1;
      column = before.at(-1).length + 1;
    }
    return line === undefined ? this.words.no_json : filled(this.words.no_json_at, { line, column });
  }

  #tools() {
    const tools = this.#json("tools");
    if (tools === undefined) return undefined;
    if (!Array.isArray(tools)) throw new Wrong(this.words.no_array);
    tools.forEach((tool, index) => {
      if (tool?.type !== "function" || typeof tool.function?.name !== "string") {
        throw new Wrong(filled(this.words.no_tool, { number: index + 1 }));
      }
    });
    return tools.length ? tools : undefined;
  }

  #object(name) {
    const said = this.#json(name);
    if (said !== undefined && (typeof said !== "object" || said === null || Array.isArray(said))) {
      throw new Wrong(this.words.no_object);
    }
    return said;
  }
}

function note(name, what) {
  const field = byId(name);
  let place = byId(`${name}-wrong`);
  if (!place) {
    place = element("span", { class: "wrong", id: `${name}-wrong` });
    field.after(place);
    field.setAttribute("aria-describedby", place.id);
  }
  place.textContent = what;
  field.setAttribute("aria-invalid", what ? "true" : "false");
}
