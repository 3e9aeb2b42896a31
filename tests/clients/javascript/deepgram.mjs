// node deepgram.mjs HOST KEY OPTIONS [PCM]: a stream by Deepgram's own client, which differs in its address alone.
// What it hears goes to stdout, a line of JSON each; PCM is 16 kHz mono s16le. Ends with its connection; an error is a
// line, too.
import { readFileSync } from "node:fs";
import { DeepgramClient } from "@deepgram/sdk";

const [host, apiKey, options, pcm] = process.argv.slice(2);
const environment = { base: `http://${host}`, production: `ws://${host}`, agent: "", agentRest: "" };
const client = new DeepgramClient({ apiKey, environment });
const tell = (message) => console.log(JSON.stringify(message));

const connection = await client.listen.v1.connect({
  model: "nova-3",
  encoding: "linear16",
  sample_rate: 16000,
  language: "en",
  reconnectAttempts: 0,
  ...JSON.parse(options),
});
connection.on("error", (error) => tell({ type: "JavaScriptError", message: error.message }));
connection.connect();
try {
  await connection.waitForOpen();
} catch (error) {
  tell({ type: "JavaScriptError", message: error.message });
  process.exit(0);
}
connection.sendKeepAlive({ type: "KeepAlive" });
const audio = readFileSync(pcm);
for (let at = 0; at < audio.length; at += 3200) connection.sendMedia(audio.subarray(at, at + 3200));
connection.sendFinalize({ type: "Finalize" });
connection.sendCloseStream({ type: "CloseStream" });
for await (const message of connection) tell(message);
