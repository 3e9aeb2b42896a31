// What is known of all sessions, put together from what the server tells; the same as web/live/state.py does. No DOM.
const MOST_RESULTS = 1000;
const MOST_OVER = 12;

class Session {
  constructor(shown) {
    Object.assign(this, { id: shown.session_id, begun: shown.begun, attached: shown.attached, over: shown.over });
    this.results = new Map(); // by sequence
    this.gaps = [];
    this.open = new Map(); // the newest partial of what is not final
    this.colours = new Map(); // by voice, in the order in which they spoke
    for (const message of [...shown.results, ...shown.open]) this.take(message);
  }

  /** The sequence of the utterance that changed; "gap"; null where nothing did. */
  take(message) {
    switch (message.type) {
      case "partial": return this.grown(message);
      case "final": case "error": case "suppressed": return message.sequence ? this.settled(message) : null;
      case "speaker_update": return this.renamed(message);
      case "gap":
        if (this.gaps.some((gap) => gap.from === message.from)) return null;
        this.gaps.push(message);
        return "gap";
    }
    return null;
  }

  grown(partial) {
    const { sequence } = partial;
    if (partial.stage === "withdrawn") this.open.delete(sequence);
    else if (!this.results.has(sequence)) this.open.set(sequence, partial);
    this.colour(partial);
    return sequence;
  }

  settled(result) {
    const { sequence } = result;
    this.open.delete(sequence);
    const known = this.results.get(sequence);
    if (known && (result.revision ?? 0) < (known.revision ?? 0)) return null;
    this.results.set(sequence, result);
    if (this.results.size > MOST_RESULTS) this.results.delete(this.results.keys().next().value);
    this.colour(result);
    return sequence;
  }

  renamed(update) {
    const final = this.results.get(update.sequence);
    if (final?.type !== "final" || final.revision >= update.revision) return null;
    final.revision = update.revision;
    for (const { index, speaker } of update.segments) {
      const before = final.segments[index].speaker;
      final.segments[index].speaker = speaker;
      if (speaker && !this.colours.has(speaker)) this.colours.set(speaker, this.colours.get(before) ?? this.unused());
    }
    return update.sequence;
  }

  colour(message) {
    for (const { speaker } of message.segments ?? []) {
      if (speaker && !this.colours.has(speaker)) this.colours.set(speaker, this.unused());
    }
  }

  /** The colour of the next voice; one that was named keeps its own. */
  unused() {
    return 1 + Math.max(-1, ...this.colours.values());
  }

  /** Of all utterances, in order. */
  sequences() {
    return [...new Set([...this.results.keys(), ...this.open.keys()])].sort((a, b) => a - b);
  }

  /** The latest things that a voice said, newest first. */
  said(speaker, most) {
    const found = [];
    for (const result of [...this.results.values()].reverse()) {
      for (const segment of [...(result.segments ?? [])].reverse()) {
        if (segment.speaker === speaker && found.length < most) found.push(segment.text);
      }
    }
    return found;
  }
}

export class State {
  constructor() {
    this.sessions = new Map();
    this.lacking = new Map();
    this.status = null;
    this.frontAway = false;
  }

  /** What changed: {all}, {facts} (which sessions there are, and how), {session, sequence, message}, {status}. */
  take(message) {
    switch (message.type) {
      case "snapshot": return this.everything(message);
      case "front":
        this.frontAway = true;
        return { status: true };
      case "status":
        this.status = message;
        return { status: true };
      case "session_shown":
        return this.shown(message);
      case "session_changed": return this.changed(message);
      case "session_deleted": return this.sessions.delete(message.session_id) ? { all: true } : null;
      case "watched": return message.session_id === null ? this.lacks(message.message) : this.said(message);
    }
    return null;
  }

  everything(message) {
    const before = this.sessions;
    this.frontAway = false;
    this.lacking = new Map(message.lacking.map((each) => [`${each.stage} ${each.reason}`, each]));
    this.sessions = new Map(message.sessions.map((each) => [each.session_id, new Session(each)]));
    for (const [id, session] of before) { // what the server no longer knows has ended; its text stays here
      if (!this.sessions.has(id)) this.sessions.set(id, Object.assign(session, { attached: false, over: true }));
    }
    for (const [id, session] of this.sessions) keepColours(before.get(id), session);
    return { all: true, status: true };
  }

  shown(message) {
    const before = this.sessions.get(message.session_id);
    const session = new Session(message);
    keepColours(before, session);
    this.sessions.set(session.id, session);
    const over = [...this.sessions.values()].filter((each) => each.over);
    for (const each of over.slice(0, Math.max(0, over.length - MOST_OVER))) this.sessions.delete(each.id);
    return before ? { all: true } : { facts: true };
  }

  changed(message) {
    const session = this.sessions.get(message.session_id);
    if (!session) return null;
    Object.assign(session, { attached: message.attached, over: message.over });
    if (session.over && !session.results.size) this.sessions.delete(session.id);
    return { facts: true };
  }

  said({ session_id: id, message }) {
    const session = this.sessions.get(id);
    const sequence = session?.take(message) ?? null;
    return sequence === null ? null : { session, sequence, message };
  }

  lacks(message) {
    const key = `${message.stage} ${message.reason}`;
    if (message.type === "degraded") this.lacking.set(key, message);
    else this.lacking.delete(key);
    return { status: true };
  }
}

function keepColours(before, session) {
  if (before && before !== session) session.colours = new Map([...before.colours, ...[...session.colours].filter(([name]) => !before.colours.has(name))]);
}
