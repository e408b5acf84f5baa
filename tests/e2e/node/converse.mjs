// Chats with one model through the official SDK and prints what came of it as one JSON object.
// Usage: BASE_URL=… API_KEY=… node converse.mjs MODEL

import OpenAI from "openai";

const model = process.argv[2];
const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY, maxRetries: 0 });
const completions = client.chat.completions;

const greeting = [{ role: "user", content: "Расскажи о Петрозаводске" }];
const question = [{ role: "user", content: "Какая погода в Казани?" }];
const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const tool = { type: "function", function: { name: "get_weather", description: "Погода сейчас", parameters } };
const schema = {
  type: "object",
  properties: { name: { type: "string" }, population: { type: "integer" } },
  required: ["name", "population"],
  additionalProperties: false,
};

async function chat() {
  const completion = await completions.create({ model, messages: greeting });
  return { text: completion.choices[0].message.content, finish: completion.choices[0].finish_reason, usage: completion.usage };
}

async function stream() {
  const chunks = [];
  const asked = { model, messages: greeting, stream: true, stream_options: { include_usage: true } };
  for await (const chunk of await completions.create(asked)) chunks.push(chunk);
  const choices = chunks.flatMap((chunk) => chunk.choices);
  return {
    text: choices.map((choice) => choice.delta.content ?? "").join(""),
    roles: choices.map((choice) => choice.delta.role ?? null),
    finishes: choices.map((choice) => choice.finish_reason),
    usages: chunks.map((chunk) => chunk.usage),
  };
}

// The SDK itself calls the function and brings its result back.
async function tools() {
  const called = [];
  const get_weather = (city) => called.push(city) && JSON.stringify({ degrees: 7 });
  const runnable = { ...tool, function: { ...tool.function, function: get_weather, parse: JSON.parse } };
  const runner = completions.runTools({ model, messages: question, tools: [runnable] });
  return { called, text: await runner.finalContent() };
}

async function streamedCall() {
  const final = await completions.stream({ model, messages: question, tools: [tool] }).finalChatCompletion();
  const [choice] = final.choices;
  const [call] = choice.message.tool_calls;
  return { finish: choice.finish_reason, name: call.function.name, arguments: JSON.parse(call.function.arguments) };
}

async function structured() {
  const response_format = { type: "json_schema", json_schema: { name: "city", strict: true, schema } };
  const completion = await completions.create({ model, messages: greeting, response_format });
  return JSON.parse(completion.choices[0].message.content);
}

async function refusal() {
  try {
    await completions.create({ model: "nobody/knows", messages: greeting });
  } catch (error) {
    return { name: error.constructor.name, status: error.status, requestID: error.requestID };
  }
}

async function broken() {
  const messages = [{ role: "user", content: "[[fault=cut.after=3]]Расскажи" }];
  try {
    for await (const _ of await completions.create({ model, messages, stream: true }));
  } catch (error) {
    return { name: error.constructor.name, type: error.type };
  }
}

console.log(
  JSON.stringify({
    chat: await chat(),
    stream: await stream(),
    tools: await tools(),
    streamedCall: await streamedCall(),
    structured: await structured(),
    refusal: await refusal(),
    broken: await broken(),
  }),
);
