// Embeds texts through the official SDK and prints what came of it as one JSON object.
// Usage: BASE_URL=… API_KEY=… node embed.mjs MODEL TEXT…

import OpenAI from "openai";

const [model, ...input] = process.argv.slice(2);
const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY, maxRetries: 0 });

console.log(
  JSON.stringify({
    usual: await client.embeddings.create({ model, input }),
    floats: await client.embeddings.create({ model, input, encoding_format: "float" }),
  }),
);
