// node openai.mjs HOST KEY FILE: what OpenAI's own client, which differs in its address alone, makes of a file; as JSON.
import { createReadStream } from "node:fs";
import OpenAI from "openai";

const [host, apiKey, path] = process.argv.slice(2);
const client = new OpenAI({ apiKey, baseURL: `http://${host}/v1`, maxRetries: 0 });
const ask = (options) =>
  client.audio.transcriptions.create({ file: createReadStream(path), model: "whisper-1", language: "en", ...options });

try {
  const models = (await client.models.list()).data.map((model) => model.id);
  const plain = await ask({});
  const diarized = await ask({ response_format: "diarized_json" });
  const events = [];
  for await (const event of await ask({ stream: true })) events.push(event);
  const refused = await ask({ response_format: "docx" }).catch((error) => ({ status: error.status, ...error.error }));
  console.log(JSON.stringify({ models, plain, diarized, events, refused }));
} catch (error) {
  console.log(JSON.stringify({ error: { status: error.status, ...error.error } }));
}
