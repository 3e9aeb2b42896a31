// Who a voice is: asked while one reads what it said last.
import { called, element } from "./captions.js";

const SAID = 4;

export class Rename {
  constructor(t) {
    this.t = t;
    this.dialog = document.getElementById("rename");
    this.input = document.getElementById("rename-name");
    this.problem = document.getElementById("rename-problem");
    document.getElementById("rename-cancel").onclick = () => this.dialog.close();
    document.getElementById("rename-form").onsubmit = (event) => { event.preventDefault(); this.save(); };
  }

  ask(session, speaker) {
    Object.assign(this, { session, speaker });
    const said = session.said(speaker, SAID);
    document.getElementById("rename-said").replaceChildren(...said.map((text) => element("li", {}, text)));
    document.getElementById("rename-title").textContent = `${this.t("live.rename")} – ${called(speaker, this.t)}`;
    this.input.value = /^Speaker_\d+$/.test(speaker) ? "" : speaker;
    this.problem.hidden = true;
    this.dialog.showModal();
    this.input.select();
  }

  async save() {
    const body = JSON.stringify({ session: this.session.id, speaker: this.speaker, name: this.input.value });
    try {
      const answer = await fetch("/live/name", { method: "POST", headers: { "Content-Type": "application/json" }, body });
      if (answer.ok) return this.dialog.close();
      throw new Error((await answer.json()).error ?? answer.statusText);
    } catch (error) {
      this.problem.textContent = this.t("live.failed", { why: error.message });
      this.problem.hidden = false;
    }
  }
}
