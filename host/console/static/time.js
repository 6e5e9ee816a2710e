// The time slider: the same page at a past moment; playing goes from mark to mark.
"use strict";
(() => {
  let timer = null, asked = 0;
  const bar = () => document.querySelector("[data-time]");
  const slider = () => document.querySelector("[data-slider]");
  const marks = () => JSON.parse(slider().dataset.marks);
  const label = (ms) => new Date(ms).toISOString().slice(0, 19).replace("T", " ");
  const isLast = () => Number(slider().value) >= Number(slider().max);
  const address = () => {
    const url = new URL(location.href);
    for (const name of ["at", "before", "skip", "from", "do"]) url.searchParams.delete(name);
    if (!isLast()) url.searchParams.set("at", marks()[Number(slider().value)][0]);
    return url;
  };
  const tell = () => {
    const mark = marks()[Number(slider().value)];
    if (!mark) return;
    document.querySelector("[data-moment]").textContent = isLast() ? "now" : label(mark[1]);
    document.querySelector("[data-seq]").textContent = mark[0].toLocaleString("en");
  };
  const go = async () => {
    const mine = ++asked, wanted = address();
    // The bar comes anew, too (its moments, the way back to now), but for one that plays, or is in the hand: its moments stay where they are.
    const options = { keep: () => (timer || slider().matches(":active") ? [".time"] : []), unless: () => mine !== asked };
    await perdure.show(wanted, options);
    await perdure.settled(wanted, options, () => mine === asked);
    if (mine === asked && timer) bar().classList.toggle("past", !isLast());
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    perdure.plays = false;
    const button = document.querySelector("[data-play]");
    if (button) { button.textContent = "▶"; button.setAttribute("aria-label", "Play from here"); }
  };
  const play = () => {
    if (timer) { stop(); go(); return; }
    if (isLast()) slider().value = 0;
    const button = document.querySelector("[data-play]");
    button.textContent = "❚❚";
    button.setAttribute("aria-label", "Stop");
    let moving = false;
    const next = async () => {
      if (moving) return;
      moving = true;
      slider().value = Number(slider().value) + Math.max(1, Math.round(Number(slider().max) / 60));
      tell();
      try { await go(); } finally { moving = false; }
      if (timer && isLast()) { stop(); go(); }
    };
    perdure.plays = true;
    timer = setInterval(next, 700);
    next();
  };
  addEventListener("input", (event) => { if (event.target.matches("[data-slider]")) tell(); });
  addEventListener("change", (event) => { if (event.target.matches("[data-slider]")) { stop(); go(); } });
  addEventListener("click", (event) => { if (event.target.closest("[data-play]")) play(); });
})();
