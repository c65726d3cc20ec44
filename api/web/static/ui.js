// What pages can do beyond HTML: copy, show the progress of long work, and a preview while one types. Each works
// without a script too, by a button of its form.
"use strict";

document.addEventListener("submit", (event) => {
  const form = event.target, submitter = event.submitter;
  if (form.dataset.choose && !form.querySelector("[name=id]:checked, [name=all]:checked")) {
    event.preventDefault();
    say(form, submitter, form.dataset.choose, "warn");
    return;
  }
  const asksOnAPage = submitter && "page" in submitter.dataset;
  if ("progress" in form.dataset && !asksOnAPage) { event.preventDefault(); work(form, submitter); }
});

// A box for what became of a press, where the hands are: just after the buttons.
function say(form, submitter, text, tone) {
  form.querySelector(".said")?.remove();
  const box = document.createElement("div");
  box.className = `said progress notice ${tone}`;
  box.setAttribute("role", "status");
  const words = document.createElement("p");
  box.append(words);
  (submitter?.closest(".actions") ?? form.lastElementChild).after(box);
  words.textContent = text;
  box.scrollIntoView({ block: "nearest" });
  return [box, words];
}

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
  const [box, words] = say(form, submitter, "Working…", "warn");
  const bar = document.createElement("progress");
  bar.setAttribute("aria-label", "Progress");
  box.prepend(bar);
  const buttons = [...form.querySelectorAll("button")].filter((button) => !button.disabled);
  for (const button of buttons) button.disabled = true;
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
    box.classList.remove("warn");
    if (failed) box.classList.add("warn");
  } catch (error) {
    box.classList.replace("warn", "bad");
    words.textContent = `${done} done, then it stopped: ${error.message}`;
  } finally {
    for (const button of buttons) button.disabled = false;
    submitter?.focus();
  }
  const again = document.createElement("a");
  again.href = form.dataset.back ?? location.href;
  again.textContent = form.dataset.back ? "Back to the list" : "Reload the list";
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

// Tells the server where the browser is, so that pages show its time.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone) document.cookie = `reveille_browser_zone=${zone}; path=/; max-age=31536000; samesite=lax`;

// Keeps what stands before a time true while the page is open: the words of `relative` in filters.py.
const AWAY = [[31557600, "y"], [2629800, "mo"], [86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
setInterval(() => {
  for (const ago of document.querySelectorAll("time > .ago")) {
    const seconds = (new Date(ago.parentElement.dateTime) - Date.now()) / 1000;
    const [length, unit] = AWAY.find(([least]) => Math.abs(seconds) >= least) ?? AWAY.at(-1);
    const words = `${Math.floor(Math.abs(seconds) / length)} ${unit}`;
    ago.textContent = Math.abs(seconds) < 1 ? "now" : seconds > 0 ? `in ${words}` : `${words} ago`;
  }
}, 10000);

// A picker of days beside a field that holds one day on each line.
for (const box of document.querySelectorAll("[data-days]")) {
  const lines = box.querySelector("textarea");
  const picker = document.createElement("input");
  picker.type = "date";
  picker.setAttribute("aria-label", `${box.querySelector("label").textContent}: pick a day`);
  const add = document.createElement("button");
  add.type = "button";
  add.textContent = "Add day";
  add.addEventListener("click", () => {
    if (!picker.value) { picker.focus(); return; }
    const days = lines.value.split("\n").filter((line) => line.trim());
    if (!days.includes(picker.value)) lines.value = [...days, picker.value].join("\n");
    lines.dispatchEvent(new Event("input", { bubbles: true }));
    picker.value = "";
  });
  const row = document.createElement("div");
  row.className = "pick";
  row.append(picker, add);
  box.append(row);
}
