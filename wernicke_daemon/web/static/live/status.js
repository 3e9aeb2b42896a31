// How the daemon is, in plain words.
import { element } from "./captions.js";

const BEHIND_S = 4; // a result that takes less is not late

/** {level: "ok" | "warn" | "bad", sentences: [...]} */
export function inWords(state, t) {
  const { status } = state;
  if (!status && !state.frontAway) return { level: "off", sentences: [t("live.status_unknown")] };
  if (state.frontAway || !status || status.status === "away") return { level: "bad", sentences: [t("live.front_away")] };
  if (status.status === "starting") return { level: "warn", sentences: [t("live.status_starting", { what: starting(status, t) })] };
  const sentences = [...lacking(state, t), ...behind(status, t), ...status.problems];
  if (sentences.length) return { level: status.status === "failed" ? "bad" : "warn", sentences };
  return { level: "ok", sentences: [t(status.status === "unloaded" ? "live.status_unloaded" : "live.status_ok")] };
}

function starting(status, t) {
  const waiting = Object.entries(status.stages).filter(([, stage]) => stage.state !== "ready");
  return waiting.map(([name, stage]) => `${t(`live.stage_${name}`)} (${stage.doing})`).join(", ");
}

function lacking(state, t) {
  const down = new Set();
  const sentences = [];
  for (const { stage, reason } of state.lacking.values()) {
    const failed = state.status.stages[stage]?.state === "failed";
    const key = { down: failed ? "failed" : "down", starting: "loading", slow: "slow", overload: "overload" }[reason];
    if (!down.has(stage)) sentences.push(t(`live.status_${key}`, { stage: t(`live.stage_${stage}`) }));
    down.add(stage);
  }
  return sentences;
}

function behind(status, t) {
  const seconds = Math.round(status.behind_s);
  if (seconds < BEHIND_S) return [];
  const [name] = Object.entries(status.stages).filter(([, stage]) => stage.queue).sort((a, b) => b[1].queue - a[1].queue)[0] ?? [];
  if (!name) return [t("live.status_results", { seconds })];
  return [t("live.status_behind", { stage: t(`live.stage_${name}`), seconds })];
}

const LEVELS = { ready: "ok", starting: "warn", backoff: "bad", failed: "bad", unloaded: "off", stopped: "off" };

export function showStatus(state, t) {
  const { level, sentences } = inWords(state, t);
  document.getElementById("status-dot").className = `dot is-${level}`;
  document.getElementById("status-text").textContent = capital(sentences.join(" · "));
  const stages = Object.entries(state.status?.stages ?? {}).filter(([, stage]) => stage.engine !== "none");
  document.getElementById("stages").replaceChildren(...stages.map(([name, stage]) => {
    const said = `${t(`live.stage_${name}`)}: ${t(`live.stage_${stage.state}`)}${stage.engine ? ` (${stage.engine})` : ""}`;
    const item = element("li", { title: said }, element("span", { className: `dot is-${LEVELS[stage.state] ?? "off"}` }), t(`live.stage_${name}`));
    item.append(element("span", { className: "visually-hidden" }, `: ${t(`live.stage_${stage.state}`)}`));
    return item;
  }));
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
