// Keeps the picture of now live: by a stream of events, or by asking again where there can be none.
"use strict";
(() => {
  const state = document.getElementById("live");
  const picture = document.getElementById("picture");
  const why = document.getElementById("why");
  const ASK_AFTER = 5000;
  const STALE_AFTER = 15000; // a stream brings a picture every ten seconds at least
  let timer = null, shownAt = Date.now(), isAway = false, isPressed = false, waiting = null;

  // A picture is HTML of our own server, in which whatever came from elsewhere is escaped already.
  const draw = (html) => {
    const focused = document.activeElement?.closest("#picture a")?.getAttribute("href");
    const scrolled = [...picture.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
    picture.innerHTML = html;
    picture.querySelectorAll(".scroll").forEach((each, index) => { each.scrollLeft = scrolled[index] ?? 0; });
    if (focused) {
      [...picture.querySelectorAll("a")].find((each) => each.getAttribute("href") === focused)?.focus();
    }
  };

  // While something is pressed the picture stays, or the release would hit something else or nothing.
  const show = (html) => {
    shownAt = Date.now();
    isAway = false;
    if (isPressed) waiting = html; else draw(html);
    tell();
  };
  const release = () => {
    isPressed = false;
    setTimeout(() => { if (waiting !== null && !isPressed) { draw(waiting); waiting = null; } });
  };
  picture.addEventListener("pointerdown", () => { isPressed = true; });
  for (const name of ["pointerup", "pointercancel", "blur"]) window.addEventListener(name, release);

  // What is shown may be old: it says how old, and its colours say nothing any more.
  const tell = () => {
    const age = Math.round((Date.now() - shownAt) / 1000);
    const isStale = isAway || age * 1000 > STALE_AFTER;
    picture.classList.toggle("stale", isStale);
    state.classList.toggle("warn", isStale);
    const words = isStale ? `No connection. These figures are ${age} s old.` : timer === null ? "live" : "asking every 5 s";
    if (state.textContent !== words) state.textContent = words;
  };
  setInterval(tell, 1000);

  const fetchPicture = async () => {
    try {
      const response = await fetch(state.dataset.picture, { headers: { "Reveille-Fragment": "1" } });
      if (response.status === 401) { location.reload(); return; }
      if (!response.ok) throw new Error(response.statusText);
      show(await response.text());
    } catch {
      isAway = true;
      tell();
    }
  };
  const ask = async () => {
    await fetchPicture();
    timer = setTimeout(ask, ASK_AFTER);
  };

  const listen = () => {
    const source = new EventSource(state.dataset.stream);
    source.onmessage = (event) => show(event.data);
    source.onopen = () => {
      const wasAsking = timer !== null;
      clearTimeout(timer);
      timer = null;
      if (wasAsking || isAway) fetchPicture(); else tell();
    };
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 6 * ASK_AFTER);
      if (timer === null) { timer = setTimeout(ask, 1000); }
    };
  };

  const explain = (event) => {
    const label = event.target.closest("#picture a[aria-label]")?.getAttribute("aria-label");
    if (label) why.textContent = label;
  };
  picture.addEventListener("mouseover", explain);
  picture.addEventListener("focusin", explain);

  if ("EventSource" in window) listen(); else { timer = setTimeout(ask, ASK_AFTER); }
})();
