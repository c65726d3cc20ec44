// What pages can do beyond HTML: ask before what cannot be undone, copy, show the progress of long work, and a
// preview while one types. Each works without a script too, by a button of its form.
"use strict";

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.ask ?? event.target.dataset.confirm;
  if (question && !window.confirm(question)) { event.preventDefault(); return; }
  if ("progress" in event.target.dataset) { event.preventDefault(); work(event.target, event.submitter); }
});

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
    const before = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = before; }, 1500);
  });
}

// Sends a form again and again, each time with the cursor of the answer before, until nothing is left to do.
async function work(form, submitter) {
  const fields = new FormData(form, submitter);
  const chosen = fields.getAll("id").length;
  const box = document.createElement("div");
  box.className = "progress notice warn";
  box.setAttribute("role", "status");
  const bar = document.createElement("progress");
  bar.setAttribute("aria-label", "Progress");
  const words = document.createElement("p");
  box.append(bar, words);
  form.before(box);
  for (const button of form.querySelectorAll("button")) button.disabled = true;
  let done = 0, failed = 0, message = "";
  try {
    for (let cursor = ""; cursor !== null;) {
      fields.set("cursor", cursor);
      const response = await fetch(form.action, { method: "POST", body: fields, headers: { "Reveille-Fragment": "json" } });
      if (!response.ok) throw new Error(await response.text());
      const step = await response.json();
      done += step.done;
      failed += step.failed;
      message = step.message || message;
      cursor = step.next ?? null;
      if (chosen && !fields.get("all")) { bar.max = chosen; bar.value = done + failed; }
      words.textContent = `${done} done${failed ? `, ${failed} failed: ${message}` : ""}`;
    }
    bar.max = bar.value = 1;
    if (!failed) box.className = "progress notice";
  } catch (error) {
    box.className = "progress notice bad";
    words.textContent = `${done} done; then it stopped: ${error.message}`;
  }
  const again = document.createElement("a");
  again.href = location.href;
  again.textContent = "Show what it is now";
  box.append(again);
}

// Shows when a trigger would fire, a moment after each change of its form.
for (const form of document.querySelectorAll("form[data-preview]")) {
  const place = document.getElementById("preview");
  let timer = null, latest = 0;
  const show = async () => {
    const turn = ++latest;
    const response = await fetch(form.dataset.preview, {
      method: "POST", body: new FormData(form), headers: { "Reveille-Fragment": "1" },
    });
    // The answer is HTML of our own server, in which whatever was typed is escaped already.
    if (turn === latest && response.ok) place.innerHTML = await response.text();
  };
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(show, 300); });
}
