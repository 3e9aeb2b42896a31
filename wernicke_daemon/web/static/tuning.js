// The state of the stages, asked for again every few seconds while the page is seen.
const now = document.getElementById("now");
const EVERY_MS = 3000;

async function look() {
  if (document.hidden) return;
  try {
    const answer = await fetch("/tuning/now");
    if (answer.ok) now.innerHTML = await answer.text(); // made by a template, which escapes what is put into it
  } catch {
    // the web process starts again; the next look will find it
  }
}

setInterval(look, EVERY_MS);
document.addEventListener("visibilitychange", look);
