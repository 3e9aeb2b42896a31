// The summary of a transcript: asked for, followed while it is made, cancelled. It goes on when the page is closed.
import { loadWords } from "/static/common.js";

const LOOK_MS = 1000;

const section = document.getElementById("summary");
const button = document.getElementById("summarize");
const making = section.querySelector(".making");
const problem = section.querySelector("[role=alert]");

button?.addEventListener("click", () => follow(ask("", "POST")));
document.getElementById("summary-cancel").addEventListener("click", () => ask("/cancel", "POST"));
if (section.dataset.making !== undefined) follow(ask("", "GET"));

/** What is known of it by now. */
async function ask(what, method) {
  const answer = await fetch(section.dataset.of + what, { method });
  const said = await answer.json();
  return answer.ok ? said : { making: null, problem: said.error, summary: null };
}

/** Shows how far it is until it is there, failed or cancelled. */
async function follow(asked) {
  const t = await loadWords();
  section.hidden = false;
  problem.hidden = true;
  button.disabled = true;
  let state = await asked.catch(() => null);
  while (state === null || state.making) {
    if (state !== null) show(t, state.making);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    state = await ask("", "GET").catch(() => null);
  }
  done(state);
}

function show(t, progress) {
  making.hidden = false;
  making.querySelector("[role=status]").textContent = t(`summary.${progress.step}`, { part: progress.done + 1, of: progress.of });
}

function done(state) {
  if (state.summary && state.summary.made !== section.dataset.made) location.reload();
  button.disabled = false;
  making.hidden = true;
  problem.textContent = state.problem ?? "";
  problem.hidden = !state.problem;
  section.hidden = !state.problem && !section.dataset.made;
}
