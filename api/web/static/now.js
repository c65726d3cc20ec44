// Keeps the picture of now live: by a stream of events, or by asking again where there can be none.
"use strict";
(() => {
  const state = document.getElementById("live");
  const picture = document.getElementById("picture");
  const why = document.getElementById("why");
  const ASK_AFTER = 5000;
  let timer = null;

  // A picture is HTML of our own server, in which whatever came from elsewhere is escaped already.
  const show = (html) => {
    const focused = document.activeElement?.closest("#picture a")?.getAttribute("aria-label");
    const scrolled = [...picture.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
    picture.innerHTML = html;
    picture.querySelectorAll(".scroll").forEach((each, index) => { each.scrollLeft = scrolled[index] ?? 0; });
    if (focused) {
      [...picture.querySelectorAll("a[aria-label]")].find((each) => each.getAttribute("aria-label") === focused)?.focus();
    }
  };

  const ask = async () => {
    try {
      const response = await fetch(state.dataset.picture, { headers: { "Reveille-Fragment": "1" } });
      if (response.status === 401) { location.reload(); return; }
      if (!response.ok) throw new Error(response.statusText);
      show(await response.text());
      state.textContent = "asking every 5 s";
    } catch {
      state.textContent = "out of reach, trying again";
    }
    timer = setTimeout(ask, ASK_AFTER);
  };

  const listen = () => {
    const source = new EventSource(state.dataset.stream);
    source.onmessage = (event) => { show(event.data); state.textContent = "live"; };
    source.onopen = () => { clearTimeout(timer); timer = null; state.textContent = "live"; };
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

  if ("EventSource" in window) listen(); else ask();
})();
