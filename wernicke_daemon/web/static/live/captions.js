// Captions of one session as elements. Whatever was said is text, never markup.
import { difference } from "./difference.js";

export function element(tag, options = {}, ...children) {
  const { dataset, ...rest } = options;
  const made = Object.assign(document.createElement(tag), rest);
  Object.assign(made.dataset, dataset ?? {});
  made.append(...children);
  return made;
}

/** "Speaker_00" in the words of the page. */
export function called(speaker, t) {
  const label = /^Speaker_(\d+)$/.exec(speaker ?? "");
  if (!speaker) return t("live.unknown");
  return label ? t("live.voice", { number: Number(label[1]) + 1 }) : speaker;
}

const clock = new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

export function timeOfDay(iso, plusSeconds = 0) {
  return clock.format(new Date(Date.parse(iso) + plusSeconds * 1000));
}

export class Captions {
  constructor(place, t) {
    this.place = place;
    this.t = t;
    this.list = element("ol", { className: "lines" });
    this.marksCorrections = false;
    this.session = null;
  }

  /** All of a session, in place of what was there. */
  show(session) {
    this.session = session;
    this.head = element("div", { className: "session-head" });
    this.list.replaceChildren();
    this.place.replaceChildren(element("section", { className: "session" }, this.head, this.list));
    this.describe();
    const lines = session.sequences().flatMap((sequence) => this.lines(sequence));
    this.list.append(...lines);
    lines.forEach((line) => this.begins(line));
    this.gaps();
  }

  describe() {
    const { session, t } = this;
    const state = session.over ? "over" : session.attached ? "live" : "waiting";
    const begun = new Date(session.begun).toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
    const nothing = session.results.size + session.open.size === 0 ? element("span", {}, t("live.waiting")) : "";
    this.head.replaceChildren(element("b", {}, begun), element("span", { className: "badge" }, t(`live.state_${state}`)), nothing);
  }

  gaps() {
    for (const gap of this.session.gaps) {
      if (this.list.querySelector(`[data-gap="${gap.from}"]`)) continue;
      const seconds = (gap.to - gap.from).toFixed(1);
      this.list.append(this.note(this.t("live.lost_audio", { seconds }), { gap: gap.from }));
    }
  }

  /** One utterance anew; the rest stays as it is. */
  update(sequence) {
    if (sequence === "gap") return this.gaps();
    const old = [...this.list.querySelectorAll(`[data-sequence="${sequence}"]`)];
    const selected = old.findIndex((line) => line.classList.contains("selected"));
    const lines = this.lines(sequence);
    old.forEach((line) => line.remove());
    const after = this.after(sequence);
    lines.forEach((line) => this.list.insertBefore(line, after));
    (lines[selected] ?? lines.at(-1))?.classList.toggle("selected", selected >= 0);
    [...lines, after].forEach((line) => line && this.begins(line));
    this.forget();
    this.describe();
  }

  /** Lines of what the session no longer has: a page may be open for weeks. */
  forget() {
    const { results, open } = this.session;
    for (const line of this.list.querySelectorAll("[data-sequence]")) {
      const sequence = Number(line.dataset.sequence);
      if (results.has(sequence) || open.has(sequence)) break;
      line.remove();
    }
  }

  after(sequence) {
    const lines = [...this.list.children].reverse(); // nearly always the last one
    let after = null;
    for (const line of lines) {
      if (Number(line.dataset.sequence ?? 0) < sequence) break;
      after = line;
    }
    return after;
  }

  /** The name stands where another voice begins. */
  begins(line) {
    const before = line.previousElementSibling;
    const same = before?.dataset.speaker === line.dataset.speaker && !line.classList.contains("note");
    line.classList.toggle("starts", !same);
  }

  lines(sequence) {
    const open = this.session.open.get(sequence);
    if (open) return [this.openLine(open)];
    const result = this.session.results.get(sequence);
    if (result?.type === "final") return result.segments.map((segment, index) => this.line(result, segment, index));
    if (result?.type === "error") return [this.note(result.message, { sequence })];
    return [];
  }

  line(final, segment, index) {
    const at = timeOfDay(final.wall_start, segment.start);
    const text = element("p", { className: "text", lang: final.language });
    if (this.marksCorrections && segment.corrected) text.append(...difference(segment.original_text ?? "", segment.text, final.language));
    else text.textContent = segment.text;
    return this.row({ sequence: final.sequence, index }, segment.speaker, at, text);
  }

  openLine(partial) {
    const characters = [...partial.text];
    const text = element("p", { className: "text" },
      element("span", { className: "stable" }, characters.slice(0, partial.stable_chars).join("")),
      element("span", { className: "unstable" }, characters.slice(partial.stable_chars).join("")));
    const speaker = partial.segments.find((segment) => segment.speaker)?.speaker ?? null;
    const row = this.row({ sequence: partial.sequence, index: 0 }, speaker, "", text);
    if (!speaker) row.querySelector(".name").replaceWith(element("span", { className: "name muted" }, this.t("live.speaking")));
    row.classList.add("open");
    return row;
  }

  row(dataset, speaker, time, text) {
    const colour = this.session.colours.get(speaker);
    const name = called(speaker, this.t);
    const button = element("button", { type: "button", className: "name", title: name, disabled: !speaker }, name);
    button.setAttribute("aria-label", this.t("live.rename_button", { name }));
    const row = element("li", { className: "line", dataset: { ...dataset, speaker: speaker ?? "" } },
      element("div", { className: "who" }, button, element("time", {}, time)), text);
    if (colour !== undefined) row.classList.add(`voice-${colour % 10}`);
    return row;
  }

  note(sentence, dataset) {
    return element("li", { className: "line note starts", dataset }, element("div", { className: "who" }), element("p", { className: "text" }, sentence));
  }

  /** Everything as text, a line for each change of voice; of one line its text alone. */
  asText(line = null) {
    if (line) return line.querySelector(".text").textContent;
    const lines = [];
    for (const final of this.session?.results.values() ?? []) {
      for (const segment of final.segments ?? []) lines.push(`[${timeOfDay(final.wall_start, segment.start)}] ${called(segment.speaker, this.t)}: ${segment.text}`);
    }
    return lines.join("\n");
  }
}
