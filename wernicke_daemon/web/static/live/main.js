// The live page put together.
import { loadWords } from "../common.js";
import { Captions, called, element } from "./captions.js";
import { follow } from "./line.js";
import { Rename } from "./rename.js";
import { prepareSpeaking } from "./speak.js";
import { State } from "./state.js";
import { showStatus } from "./status.js";

const byId = (id) => document.getElementById(id);
const t = await loadWords();
const state = new State();
const place = byId("captions");
const captions = new Captions(place, t);
const rename = new Rename(t);
let chosen = null; // id of the session that somebody clicked, null for the latest
let following = true;
const news = new Set(); // sessions with text that was not looked at

// --- which session ---

function current() {
  if (chosen && state.sessions.has(chosen)) return state.sessions.get(chosen);
  const shown = state.sessions.get(captions.session?.id);
  if (shown && !shown.over) return shown; // nobody is taken away from what they read
  const all = [...state.sessions.values()];
  return all.findLast((session) => !session.over) ?? shown ?? all.at(-1) ?? null;
}

function showTabs() {
  const shown = captions.session?.id;
  byId("tabs").replaceChildren(...[...state.sessions.values()].reverse().map((session) => {
    const kind = session.over ? "is-over" : session.attached ? "is-live" : "is-waiting";
    const begun = new Date(session.begun).toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" });
    const tab = element("button", { type: "button", role: "tab", className: kind, dataset: { session: session.id } }, element("span", { className: "pulse" }), begun);
    tab.setAttribute("aria-selected", String(session.id === shown));
    tab.classList.toggle("has-news", news.has(session.id));
    tab.title = t(`live.state_${session.over ? "over" : session.attached ? "live" : "waiting"}`);
    tab.onclick = () => { chosen = session.id; showAll(); };
    return tab;
  }));
}

function showAll() {
  const session = current();
  if (session) {
    captions.show(session);
    news.delete(session.id);
    place.dataset.session = session.id;
  } else {
    captions.session = null;
    place.replaceChildren(element("div", { className: "empty", id: "empty" }, element("h2", {}, t("live.empty_title")), element("p", {}, t("live.empty"))));
  }
  showTabs();
  find();
  scroll();
}

// --- what comes ---

function take(message) {
  const changed = state.take(message);
  if (!changed) return;
  if (changed.status) showStatus(state, t);
  if (changed.facts && captions.session && current() === captions.session) {
    captions.describe();
    showTabs();
  } else if (changed.facts || changed.all) showAll();
  if (changed.session) said(changed);
}

function said({ session, sequence, message }) {
  if (session !== captions.session) {
    news.add(session.id);
    return showTabs();
  }
  captions.update(sequence);
  find();
  scroll();
  if (message.type === "final") announce(message);
  if (message.latency_ms !== undefined) byId("lag").textContent = t("live.lag", { seconds: (message.latency_ms / 1000).toFixed(1) });
}

/** To screen readers: finals only. */
function announce(final) {
  for (const segment of final.segments) byId("announce").append(element("p", { lang: final.language }, `${called(segment.speaker, t)}: ${segment.text}`));
  while (byId("announce").childElementCount > 6) byId("announce").firstElementChild.remove();
}

let everOpen = false;
follow("/live/socket", take, (open, code) => {
  everOpen ||= open;
  byId("line-notice").hidden = open || (!everOpen && code !== 1013);
  byId("line-notice").textContent = t(code === 1013 ? "live.full" : "live.offline");
  document.body.dataset.line = open ? "open" : "lost";
  if (open) return;
  state.status = null; // how the daemon is now, nobody here knows
  showStatus(state, t);
});

// --- follow or stay ---

function scroll() {
  if (following) place.scrollTop = place.scrollHeight;
  byId("latest").hidden = following;
}

function setFollowing(wanted) {
  following = wanted;
  byId("follow").setAttribute("aria-pressed", String(following));
  scroll();
}

place.addEventListener("scroll", () => {
  const fromEnd = place.scrollHeight - place.scrollTop - place.clientHeight;
  if (following && fromEnd > 120) setFollowing(false);
  else if (!following && fromEnd < 4) setFollowing(true);
}, { passive: true });
new ResizeObserver(scroll).observe(place);
byId("follow").onclick = () => setFollowing(!following);
byId("latest").onclick = () => setFollowing(true);

// --- size, corrections, search, copy ---

const SIZES = [0.8, 0.9, 1, 1.15, 1.35, 1.6, 2, 2.5];
let size = Math.max(0, SIZES.indexOf(Number(localStorage.getItem("size") ?? 1)));

function setSize(step) {
  size = Math.min(SIZES.length - 1, Math.max(0, size + step));
  localStorage.setItem("size", SIZES[size]);
  place.style.setProperty("--scale", SIZES[size]);
  scroll();
}
byId("smaller").onclick = () => setSize(-1);
byId("larger").onclick = () => setSize(1);
setSize(0);

byId("corrections").onclick = () => {
  captions.marksCorrections = !captions.marksCorrections;
  byId("corrections").setAttribute("aria-pressed", String(captions.marksCorrections));
  showAll();
};

function find() {
  const wanted = byId("find-text").value.trim().toLowerCase();
  place.classList.toggle("filtered", wanted !== "");
  for (const line of captions.list.children) line.classList.toggle("misses", wanted !== "" && !line.textContent.toLowerCase().includes(wanted));
}
byId("find-text").oninput = find;

async function copy(line = null) {
  const button = byId("copy");
  try {
    await toClipboard(captions.asText(line));
    button.textContent = t("live.copied");
  } catch {
    byId("line-notice").textContent = t("live.copy_failed");
    byId("line-notice").hidden = false;
  }
  setTimeout(() => { button.textContent = t("live.copy"); }, 1500);
}
byId("copy").onclick = () => copy();

/** Pages that are not secure have no clipboard but this one. */
async function toClipboard(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = element("textarea", { value: text });
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("copy");
}

// --- voices ---

place.addEventListener("click", (event) => {
  const name = event.target.closest("button.name");
  if (name) rename.ask(captions.session, name.closest(".line").dataset.speaker);
});

// --- keys ---

const selected = () => captions.list.querySelector(".selected");

function select(step) {
  const lines = [...captions.list.querySelectorAll(".line:not(.misses)")];
  const at = lines.indexOf(selected());
  const next = lines[at < 0 ? lines.length - 1 : Math.min(lines.length - 1, Math.max(0, at + step))];
  selected()?.classList.remove("selected");
  if (!next) return;
  setFollowing(false);
  next.classList.add("selected");
  next.scrollIntoView({ block: "nearest" });
}

function renameSelected() {
  const speaker = (selected() ?? captions.list.lastElementChild)?.dataset.speaker;
  if (speaker) rename.ask(captions.session, speaker);
}

const KEYS = {
  j: () => select(1),
  k: () => select(-1),
  " ": () => setFollowing(!following),
  c: () => copy(selected()),
  r: renameSelected,
  "/": () => byId("find-text").focus(),
  "?": () => byId("keys").showModal(),
  Escape: () => selected()?.classList.remove("selected"),
};

document.addEventListener("keydown", (event) => {
  const field = event.target.closest("input, select, textarea, dialog");
  if (field?.id === "find-text" && event.key === "Escape") { field.value = ""; find(); field.blur(); }
  const pressesButton = event.key === " " && event.target.closest("button, a");
  if (field || pressesButton || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});
byId("help").onclick = () => byId("keys").showModal();

prepareSpeaking(t, (session) => { chosen = session; });
showStatus(state, t);
document.body.dataset.ready = "yes";
