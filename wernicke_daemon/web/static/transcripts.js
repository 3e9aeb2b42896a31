// Dialogs, copying and keys of the transcript pages. Without it everything can be read, searched and exported.

for (const button of document.querySelectorAll("[data-opens]")) {
  button.addEventListener("click", () => {
    const dialog = document.getElementById(button.dataset.opens);
    if (button.dataset.speaker !== undefined) fill(button.dataset.speaker);
    dialog.showModal();
  });
}

for (const button of document.querySelectorAll("[data-closes]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}

for (const form of document.querySelectorAll("dialog form")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const problem = form.querySelector("[role=alert]");
    problem.hidden = true;
    const refused = await refusal(form);
    if (refused === null) location.assign(form.dataset.then);
    problem.textContent = refused;
    problem.hidden = refused === null;
  });
}

/** Why what a form asks for was not done, in a sentence; null where it was. */
async function refusal(form) {
  try {
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" });
    return answer.ok || answer.type === "opaqueredirect" ? null : (await answer.json()).error;
  } catch {
    return form.dataset.away;
  }
}

/** Whom the dialog renames, with what that voice said first and at length. */
function fill(speaker) {
  document.getElementById("speaker").value = speaker;
  document.querySelector("#rename [role=alert]").hidden = true;
  const name = document.getElementById("name");
  name.value = speaker;
  setTimeout(() => name.select());
  const texts = [...document.querySelectorAll(".block")]
    .filter((block) => block.querySelector(".speaker").textContent === speaker)
    .map((block) => block.querySelector("p").textContent.trim());
  const telling = texts.find((text) => text.length > 20) ?? texts[0] ?? "";
  document.getElementById("said").textContent = telling.length > 300 ? `${telling.slice(0, 300)}…` : telling;
}

function plainText() {
  return [...document.querySelectorAll(".block")]
    .map((block) => {
      const time = block.querySelector(".time").textContent;
      const speaker = block.querySelector(".speaker").textContent;
      return `[${time}] ${speaker ? `${speaker}: ` : ""}${block.querySelector("p").textContent.trim()}`;
    })
    .join("\n");
}

/** The clipboard is for secure pages only; elsewhere the text is selected and copied the old way. */
async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

const copy = document.getElementById("copy");
copy?.addEventListener("click", async () => {
  const label = copy.textContent;
  await copyText(plainText());
  copy.textContent = copy.dataset.done;
  setTimeout(() => (copy.textContent = label), 1500);
});

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    const search = document.getElementById("q");
    if (search) search.focus();
    else location.href = "/transcripts";
    event.preventDefault();
  } else if (event.key === "c") {
    copy?.click();
  } else if (event.key === "Escape") {
    for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
  }
});
