// The panel by which this browser's microphone, or a tab's sound, becomes a session.
import { NoSound, Recorder } from "./recorder.js";
import { Uplink } from "./uplink.js";

const byId = (id) => document.getElementById(id);

function minutes(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

function decibels(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return 10 * Math.log10(sum / samples.length / 32768 ** 2 + 1e-6);
}

class Speaking {
  constructor(t, begun) {
    this.t = t;
    this.begun = begun; // told the session's id
    this.recorder = this.uplink = null;
    this.starting = false; // the browser asks whether it may
  }

  say(key, values) {
    byId("speak-state").textContent = key ? this.t(`live.speak_${key}`, values) : "";
  }

  async start() {
    if (this.recorder || this.starting) return;
    this.starting = true;
    this.say("starting");
    const early = []; // pieces that come before the line is asked for
    const take = (samples) => {
      byId("speak-level").value = decibels(samples);
      if (this.uplink) this.uplink.send(samples);
      else early.push(samples);
    };
    try {
      this.recorder = await Recorder.start(byId("speak-source").value, take, () => this.stop("ended"));
    } catch (error) {
      return this.say(error instanceof NoSound ? error.kind : "failed");
    } finally {
      this.starting = false;
    }
    const language = byId("speak-language").value;
    this.uplink = new Uplink(this.recorder.sampleRate, language ? { language } : {}, (kind, detail) => this.told(kind, detail));
    early.forEach((samples) => this.uplink.send(samples));
    this.shows(true);
  }

  told(kind, detail) {
    const uplink = this.uplink;
    if (kind === "session" || kind === "anew") this.begun(detail);
    if (kind === "anew") this.say("new_session");
    else if (kind === "refused") { this.say("refused"); this.end(); }
    else if (kind === "over") this.done(detail);
    else if (uplink && !uplink.ready && uplink.lostAt !== null) this.say("kept", { seconds: uplink.keptSeconds.toFixed(1) });
    else if (uplink && !uplink.stopping) this.say("on", { time: minutes(uplink.seconds) });
  }

  /** uplink: all of it has been received. */
  done(uplink) {
    this.say("done");
    Object.assign(byId("speak-state").dataset, { samples: uplink.samples, rate: uplink.sampleRate });
  }

  async stop(why = "ending") {
    const { uplink } = this;
    await this.end();
    uplink?.stop();
    this.say(why);
  }

  async end() {
    const { recorder } = this;
    this.recorder = null;
    this.shows(false);
    await recorder?.stop();
    this.uplink = null;
  }

  shows(on) {
    byId("speak-start").hidden = on;
    byId("speak-stop").hidden = byId("speak-level").hidden = !on;
    byId("speak-source").disabled = byId("speak-language").disabled = on;
    byId("speak").setAttribute("aria-pressed", String(on));
  }
}

export function prepareSpeaking(t, begun) {
  const speaking = new Speaking(t, begun);
  const secure = window.isSecureContext && navigator.mediaDevices;
  byId("speak").onclick = () => { byId("speak-panel").hidden = !byId("speak-panel").hidden; };
  byId("speak-insecure").hidden = Boolean(secure);
  byId("speak-form").hidden = !secure;
  byId("speak-insecure").textContent = t("live.speak_insecure", { port: location.port || "80", host: location.host });
  byId("speak-form").onsubmit = (event) => { event.preventDefault(); speaking.start(); };
  byId("speak-stop").onclick = () => speaking.stop();
  window.addEventListener("beforeunload", (event) => { if (speaking.recorder) event.preventDefault(); });
}
