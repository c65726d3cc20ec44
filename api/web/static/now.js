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

  // On a narrow screen the explanation stands below the lane of its mark; as it is outside of the picture, it stays
  // there when a new picture comes.
  const narrow = matchMedia("(max-width: 52rem)");
  const place = (lane) => {
    const isBeside = narrow.matches && lane !== null;
    why.classList.toggle("beside", isBeside);
    why.style.top = isBeside ? `${lane.getBoundingClientRect().bottom + scrollY}px` : "";
  };
  let explained = null;
  const explain = (event) => {
    const link = event.target.closest("#picture a[aria-label]");
    if (link === null) return;
    const lane = link.closest(".lane");
    why.textContent = `${lane.querySelector(".agent .name").textContent}: ${link.getAttribute("aria-label")}`;
    place(lane);
    return link.getAttribute("href");
  };
  // A finger cannot point without pressing: its first press explains, the next on the same mark follows the link.
  picture.addEventListener("click", (event) => {
    if (event.pointerType !== "touch") return;
    const href = explain(event);
    if (href !== undefined && href !== explained) event.preventDefault();
    explained = href ?? null;
  });
  narrow.addEventListener("change", () => place(null));
  picture.addEventListener("mouseover", explain);
  picture.addEventListener("focusin", explain);

  if ("EventSource" in window) listen(); else { timer = setTimeout(ask, ASK_AFTER); }
})();
