// Tries features through the official SDK: a line of JSON with a feature and a place comes in, its outcome goes out.

import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import OpenAI from "openai";

let at; // where the feature of the last line is tried
let client;

const greeting = [{ role: "user", content: "Расскажи о Петрозаводске" }];
const question = [{ role: "user", content: "Какая погода в Казани?" }];
const texts = ["Столица Карелии — Петрозаводск", "Рецепт пирога с яблоками", "Какая столица у Карелии?"];
const odd = "👨‍👩‍👧‍👦 🇷🇺 é 𐍈𝄞 中文 العربية — «да»";
const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const tool = (name, description) => ({ type: "function", function: { name, description, parameters } });
const weather = tool("get_weather", "Погода в городе сейчас");
const time = tool("get_time", "Время в городе сейчас");
const schemaOfCity = {
  type: "object",
  properties: { name: { type: "string" }, population: { type: "integer" } },
  required: ["name", "population"],
  additionalProperties: false,
};

const said = (content) => [{ role: "user", content }];
const create = (messages, fields = {}, options = {}, sdk = client) =>
  sdk.chat.completions.create({ model: at.model, messages, ...fields }, options);
const texted = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
const named = (completion) => (completion.choices[0].message.tool_calls ?? []).map((call) => call.function.name);
const near = (one, other) => one.length === other.length && one.every((number, place) => Math.abs(number - other[place]) < 1e-6);
const embedded = (input, fields = {}) => client.embeddings.create({ model: at.vectors, input, ...fields });

async function all(stream) {
  const chunks = [];
  for await (const chunk of await stream) chunks.push(chunk);
  return chunks;
}

async function raised(kind, ask) {
  try {
    await ask();
  } catch (error) {
    assert.equal(error.constructor.name, kind.name, String(error));
    return error;
  }
  assert.fail(`${kind.name} was due`);
}

async function wasLeft(tag) {
  for (let tries = 0; tries < 250; tries++) {
    const { entries } = await (await fetch(`${at.twins}/__journal?tag=${tag}`)).json();
    if (entries.length && entries.every((entry) => entry.outcome === "closed_by_client")) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail("the provider goes on");
}

const features = {
  async chat() {
    const completion = await create(greeting);
    const [choice] = completion.choices;
    assert.deepEqual([completion.object, completion.model], ["chat.completion", at.model]);
    assert.deepEqual([choice.message.role, choice.finish_reason], ["assistant", "stop"]);
    assert.match(choice.message.content, /^\[двойник\].*Петрозаводске/s);
    const { prompt_tokens, completion_tokens, total_tokens } = completion.usage;
    assert.equal(total_tokens, prompt_tokens + completion_tokens);
  },

  async stream() {
    const whole = await create(greeting);
    const chunks = await all(create(greeting, { stream: true }));
    assert.equal(texted(chunks), whole.choices[0].message.content);
    assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
    assert.equal(chunks[0].choices[0].delta.role, "assistant");
    assert.deepEqual(chunks.map((chunk) => chunk.choices[0].finish_reason).filter(Boolean), ["stop"]);
    assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
  },

  async stream_usage() {
    const whole = await create(greeting);
    const chunks = await all(create(greeting, { stream: true, stream_options: { include_usage: true } }));
    const last = chunks.pop();
    assert.deepEqual(last.choices, []);
    assert.equal(last.usage.total_tokens, whole.usage.total_tokens);
    assert.ok(chunks.every((chunk) => !chunk.usage));
  },

  async cancel() {
    const tag = crypto.randomUUID();
    const stream = await create(said(`[[tag=${tag}]][[tokens=2000]][[delay_ms=500]]Расскажи`), { stream: true });
    for await (const _ of stream) break;
    stream.controller.abort();
    await wasLeft(tag);
  },

  async broken_stream() {
    const chunks = [];
    const error = await raised(OpenAI.APIError, async () => {
      const stream = await create(said("[[fault=cut.after=60]][[tokens=400]]Расскажи"), { stream: true });
      for await (const chunk of stream) chunks.push(chunk);
    });
    assert.match(texted(chunks), /^\[двойник\]/);
    assert.equal(error.type, "api_error");
  },

  async unicode() {
    const asked = said(`[[echo]][[chunks=30]]${odd}`);
    assert.equal((await create(asked)).choices[0].message.content, odd);
    assert.equal(texted(await all(create(asked, { stream: true }))), odd);
  },

  async roles() {
    const alone = await create(greeting);
    const instructions = [{ role: "system", content: "Ты краевед." }, { role: "developer", content: "Отвечай коротко." }];
    const instructed = await create([...instructions, ...greeting]);
    assert.equal(instructed.choices[0].finish_reason, "stop");
    assert.ok(instructed.usage.prompt_tokens > alone.usage.prompt_tokens + 4);
  },

  async parts() {
    const both = [{ type: "text", text: "[[echo]]Раз, " }, { type: "text", text: "два" }];
    assert.match((await create(said(both))).choices[0].message.content, /^Раз,.*два$/s);
  },

  async history() {
    const past = Array.from({ length: 119 }, (_, number) => ({ role: number % 2 ? "assistant" : "user", content: `Реплика ${number}` }));
    const completion = await create([...past, ...said("[[echo]]Что было сначала?")]);
    assert.equal(completion.choices[0].message.content, "Что было сначала?");
  },

  async tool() {
    const [choice] = (await create(question, { tools: [weather] })).choices;
    assert.equal(choice.finish_reason, "tool_calls");
    assert.deepEqual(choice.message.tool_calls.map((call) => call.function.name), ["get_weather"]);
    assert.deepEqual(Object.keys(JSON.parse(choice.message.tool_calls[0].function.arguments)), ["city"]);
  },

  // The SDK itself calls the functions and brings their results back, beside two that were there before.
  async tool_results() {
    const called = [];
    const run = (city) => called.push(city) && JSON.stringify({ degrees: 7 });
    const runnable = { ...weather, function: { ...weather.function, function: run, parse: JSON.parse } };
    const calls = ["Казань", "Пермь"].map((city, number) => ({
      id: `call_${number}`,
      type: "function",
      function: { name: "get_weather", arguments: JSON.stringify({ city }) },
    }));
    const results = calls.map((call) => ({ role: "tool", tool_call_id: call.id, content: '{"degrees": 9}' }));
    const past = [...question, { role: "assistant", content: null, tool_calls: calls }, ...results];
    const before = { role: "assistant", content: "В Казани и в Перми девять градусов." };
    const runner = client.chat.completions.runTools({ model: at.model, messages: [...past, before, ...question], tools: [runnable] });
    assert.match(await runner.finalContent(), /"degrees"/);
    assert.deepEqual(called.map((argument) => Object.keys(argument)), [["city"]]);
  },

  async tool_required() {
    assert.deepEqual(named(await create(greeting, { tools: [weather], tool_choice: "required" })), ["get_weather"]);
  },

  async tool_required_of_two() {
    assert.equal(named(await create(greeting, { tools: [weather, time], tool_choice: "required" })).length, 1);
  },

  async tool_named() {
    const tool_choice = { type: "function", function: { name: "get_time" } };
    assert.deepEqual(named(await create(question, { tools: [weather, time], tool_choice })), ["get_time"]);
  },

  async tool_none() {
    const completion = await create(question, { tools: [weather], tool_choice: "none" });
    assert.deepEqual(named(completion), []);
    assert.ok(completion.choices[0].message.content);
  },

  async stream_tool() {
    const final = await client.chat.completions.stream({ model: at.model, messages: question, tools: [weather] }).finalChatCompletion();
    assert.equal(final.choices[0].finish_reason, "tool_calls");
    assert.deepEqual(named(final), ["get_weather"]);
    assert.deepEqual(Object.keys(JSON.parse(final.choices[0].message.tool_calls[0].function.arguments)), ["city"]);
  },

  async tools_at_once() {
    const asked = { model: at.model, messages: said("[[call=get_weather]][[call=get_time]]Погода и время в Казани"), tools: [weather, time] };
    const whole = await client.chat.completions.create(asked);
    const streamed = await client.chat.completions.stream(asked).finalChatCompletion();
    for (const completion of [whole, streamed]) assert.deepEqual(named(completion), ["get_weather", "get_time"]);
  },

  async schema() {
    const response_format = { type: "json_schema", json_schema: { name: "city", strict: true, schema: schemaOfCity } };
    const completion = await client.chat.completions.parse({ model: at.model, messages: greeting, response_format });
    assert.deepEqual(Object.keys(JSON.parse(completion.choices[0].message.content)).sort(), ["name", "population"]);
  },

  async json_object() {
    const completion = await create(said("Опиши Петрозаводск в JSON"), { response_format: { type: "json_object" } });
    assert.equal(typeof JSON.parse(completion.choices[0].message.content), "object");
  },

  async stop() {
    const [asked, stop] = [said("[[echo]]один, два, три, четыре"), [", т", "нет"]];
    assert.equal((await create(asked, { stop })).choices[0].message.content, "один, два");
    assert.equal(texted(await all(create(asked, { stop, stream: true }))), "один, два");
  },

  async max_tokens() {
    const { choices, usage } = await create(greeting, { max_tokens: 5 });
    assert.deepEqual([choices[0].finish_reason, usage.completion_tokens], ["length", 5]);
  },

  async max_completion_tokens() {
    const { choices, usage } = await create(greeting, { max_completion_tokens: 5 });
    assert.deepEqual([choices[0].finish_reason, usage.completion_tokens], ["length", 5]);
  },

  async sampling() {
    const fields = { temperature: 0.2, top_p: 0.9, seed: 7, presence_penalty: 0.1, frequency_penalty: 0.1 };
    const { data, response } = await create(greeting, fields).withResponse();
    const dropped = Object.keys(fields).filter((field) => at.told[field] === "dropped");
    assert.deepEqual((response.headers.get("x-xrouter-dropped") ?? "").split(", ").filter(Boolean).sort(), dropped.sort());
    assert.ok(data.choices[0].message.content);
  },

  async reasoning() {
    const { message } = (await create(greeting, { reasoning_effort: "high" })).choices[0];
    assert.ok(message.reasoning);
    assert.ok(!message.content.includes(message.reasoning));
    const chunks = await all(create(greeting, { reasoning_effort: "high", stream: true }));
    assert.equal(chunks.map((chunk) => chunk.choices[0].delta.reasoning ?? "").join(""), message.reasoning);
  },

  async completion() {
    const answer = await client.completions.create({ model: at.model, prompt: greeting[0].content, max_tokens: 200 });
    assert.deepEqual([answer.object, answer.choices[0].finish_reason], ["text_completion", "stop"]);
    assert.match(answer.choices[0].text, /Петрозаводске/);
  },

  async completion_stream() {
    const asked = { model: at.model, prompt: greeting[0].content, max_tokens: 200 };
    const whole = await client.completions.create(asked);
    const chunks = await all(client.completions.create({ ...asked, stream: true }));
    assert.equal(chunks.map((chunk) => chunk.choices[0].text).join(""), whole.choices[0].text);
  },

  // The SDK asks for base64 and reads it.
  async embedding() {
    const [usual, floats] = [await embedded(texts[0]), await embedded(texts[0], { encoding_format: "float" })];
    assert.equal(usual.model, at.vectors);
    assert.ok(near(Array.from(usual.data[0].embedding), floats.data[0].embedding));
  },

  async embedding_float() {
    const [vector] = (await embedded(texts[0], { encoding_format: "float" })).data;
    assert.ok(vector.embedding.every((number) => typeof number === "number"));
  },

  async embedding_array() {
    const [together, last] = [await embedded(texts), await embedded(texts[2])];
    assert.deepEqual(together.data.map((vector) => vector.index), [0, 1, 2]);
    assert.ok(near(Array.from(together.data[2].embedding), Array.from(last.data[0].embedding)));
  },

  async dimensions() {
    assert.equal((await embedded(texts[0], { dimensions: 64 })).data[0].embedding.length, 64);
  },

  async request_id() {
    assert.match((await create(greeting))._request_id, /^req_/);
  },

  async raw() {
    const { data, response } = await create(greeting).withResponse();
    assert.equal(response.headers.get("x-generation-id"), data.id);
    assert.equal(response.headers.get("x-xrouter-attempts"), "1");
  },

  async timeout() {
    await raised(OpenAI.APIConnectionTimeoutError, () => create(said("[[ttft_ms=20000]]Подумай"), {}, { timeout: 300 }));
  },

  async provider_error() {
    const error = await raised(OpenAI.InternalServerError, () => create(said("[[fault=http_503]]Привет")));
    assert.deepEqual([error.status, error.type], [502, "api_error"]);
    assert.match(error.requestID, /^req_/);
  },

  async rejected() {
    await raised(OpenAI.BadRequestError, () => create(said("[[fault=http_400]]Привет"), {}, { maxRetries: 2 }));
  },

  // --- Whoever answers ------------------------------------------------------------------------------

  async models() {
    const names = new Set((await all(client.models.list())).map((model) => model.id));
    for (const name of [at.model, at.vectors, "yandexgpt/pro:rc", "xrouter/auto"]) assert.ok(names.has(name), name);
  },

  async model() {
    assert.equal((await client.models.retrieve("yandexgpt/pro:rc")).id, "yandexgpt/pro:rc");
    await raised(OpenAI.NotFoundError, () => client.models.retrieve("nobody/knows"));
  },

  async invalid_key() {
    const stranger = client.withOptions({ apiKey: "xr-live-nobody" });
    await raised(OpenAI.AuthenticationError, () => create(greeting, {}, {}, stranger));
    const headers = { "X-XRouter-Error-Codes": "string" };
    const error = await raised(OpenAI.AuthenticationError, () => create(greeting, {}, { headers }, stranger));
    assert.equal(error.code, "invalid_api_key");
  },

  async no_money() {
    const poor = client.withOptions({ apiKey: at.poor_key, maxRetries: 2 });
    const error = await raised(OpenAI.APIError, () => create(greeting, {}, {}, poor));
    assert.deepEqual([error.status, error.type], [402, "insufficient_quota"]);
  },

  async unknown_model() {
    const error = await raised(OpenAI.NotFoundError, () => create(greeting, { model: "nobody/knows" }));
    assert.equal(error.param, "model");
  },

  async bad_field() {
    const error = await raised(OpenAI.BadRequestError, () => create(greeting, { temperature: "жарко" }));
    assert.equal(error.param, "temperature");
  },

  async limit() {
    const hurried = client.withOptions({ apiKey: at.hurried_key });
    const error = await raised(OpenAI.RateLimitError, async () => {
      for (let tries = 0; tries < 10; tries++) await create(greeting, { max_tokens: 1 }, {}, hurried);
    });
    assert.equal(error.headers.get("retry-after"), "1");
  },

  async limit_waited() {
    const hurried = client.withOptions({ apiKey: at.hurried_key, maxRetries: 3 });
    for (let tries = 0; tries < 2; tries++) assert.ok((await create(greeting, { max_tokens: 1 }, {}, hurried)).id);
  },

  async retry() {
    const order = { kind: "http_503", args: {}, family: at.family };
    await fetch(`${at.twins}/__fault`, { method: "POST", body: JSON.stringify(order) });
    assert.ok((await create(greeting, {}, { maxRetries: 2 })).choices[0].message.content);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  at = asked.at;
  client = new OpenAI({ baseURL: at.base_url, apiKey: at.key, maxRetries: 0, timeout: 30_000 });
  let error = null;
  try {
    await features[asked.feature]();
  } catch (exc) {
    error = `${exc.constructor.name}: ${exc.message}`;
  }
  console.log(JSON.stringify({ error }));
}
