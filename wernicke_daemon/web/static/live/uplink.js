// Sound to the daemon over its own protocol (docs/protocol.md), resumed after a lost line without losing a sample.
// What was sent is kept until the daemon says that it has it.
import { socketAddress } from "./line.js";

const LONGEST_MS = 5000;
const GIVE_UP_MS = 10 * 60 * 1000; // as long as a session is waited for
const BYTES_PER_SAMPLE = 2; // s16le, one channel
const AHEAD_BYTES = 512 * 1024; // in the browser's own buffer at most

export class Uplink {
  /** options: of the query. told(kind, detail): "sent", "lost", "back", "anew", "refused", "over". */
  constructor(sampleRate, options, told) {
    this.options = { sample_rate: sampleRate, channels: 1, encoding: "s16le", events: "session,ack", ...options };
    this.sampleRate = sampleRate;
    this.told = told;
    this.kept = []; // frames not acknowledged, oldest first
    this.keptFrom = 0; // byte of the session at which they begin
    this.sentTo = 0; // byte of the session up to which they were sent over this line
    this.end = 0; // byte after the last of them
    this.before = 0; // bytes that earlier sessions had
    this.ready = false; // the daemon has said where to go on
    this.stopping = false;
    this.session = null; // {id, token}
    this.last = 0; // sequence of the last result
    this.lostAt = null;
    this.connect();
  }

  get keptSeconds() {
    return (this.end - this.keptFrom) / BYTES_PER_SAMPLE / this.sampleRate;
  }

  get samples() {
    return (this.before + this.end) / BYTES_PER_SAMPLE;
  }

  get seconds() {
    return this.samples / this.sampleRate;
  }

  /** samples: Int16Array */
  send(samples) {
    if (this.stopping) return;
    this.kept.push(samples);
    this.end += samples.byteLength;
    this.pump();
  }

  stop() {
    this.stopping = true;
    this.pump();
  }

  connect() {
    const query = new URLSearchParams(this.options);
    if (this.session) {
      query.set("session", this.session.id);
      query.set("resume_token", this.session.token);
      query.set("last_sequence", this.last);
    }
    this.ready = this.stopSent = false;
    const socket = (this.socket = new WebSocket(socketAddress(`/transcribe?${query}`)));
    socket.onmessage = (event) => this.take(JSON.parse(event.data));
    socket.onclose = (event) => this.closed(event.code);
    socket.onopen = () => this.pump();
  }

  take(message) {
    switch (message.type) {
      case "connection_established": return this.greeted(message);
      case "audio_received": return this.acknowledged(message.samples_received * BYTES_PER_SAMPLE);
      case "session_ended":
        this.over = true;
        return this.told("over", this);
      case "error":
        if (message.code === "SERVER_OVERLOADED" && !this.session) this.refused = true;
        if (message.code === "UNAUTHORIZED") this.refused = true;
    }
    if (message.sequence) this.last = Math.max(this.last, message.sequence);
  }

  greeted(hello) {
    const before = this.session;
    this.session = { id: hello.session_id, token: hello.resume_token };
    if (!before) {
      this.ready = true;
      this.lostAt = null; // it may have taken several tries
      this.told("session", hello.session_id);
    } else if (!hello.resumed) { // a new one: what the old one had not acknowledged goes there
      this.before += this.keptFrom;
      this.end -= this.keptFrom;
      this.keptFrom = this.sentTo = this.last = 0;
      this.ready = true;
      this.lostAt = null;
      this.told("anew", hello.session_id);
    }
    this.pump(); // one that goes on waits for audio_received
  }

  acknowledged(bytes) {
    while (this.kept.length && this.keptFrom + this.kept[0].byteLength <= bytes) this.keptFrom += this.kept.shift().byteLength;
    if (!this.ready) {
      this.sentTo = bytes; // within the first frame that is kept, perhaps
      this.ready = true;
      this.lostAt = null;
      this.told("back");
    }
    this.pump();
  }

  pump() {
    const { socket } = this;
    if (!this.ready || socket.readyState !== WebSocket.OPEN) return;
    let at = this.keptFrom;
    for (const frame of this.kept) {
      if (socket.bufferedAmount >= AHEAD_BYTES) break;
      if (at + frame.byteLength > this.sentTo) {
        const skip = Math.max(0, this.sentTo - at) / BYTES_PER_SAMPLE;
        socket.send(frame.subarray(skip));
        this.sentTo = at + frame.byteLength;
      }
      at += frame.byteLength;
    }
    if (this.stopping && this.sentTo === this.end && !this.stopSent) {
      this.stopSent = true;
      socket.send('{"type":"stop"}');
    }
    this.told("sent");
  }

  closed(code) {
    if (this.over) return;
    if (this.refused || (code === 1013 && !this.session)) return this.told("refused");
    const now = Date.now();
    this.lostAt ??= now;
    this.ready = false;
    if (now - this.lostAt > GIVE_UP_MS) return this.told("refused");
    this.told("lost");
    setTimeout(() => this.connect(), Math.min(LONGEST_MS, 250 + (now - this.lostAt) / 4));
  }
}
