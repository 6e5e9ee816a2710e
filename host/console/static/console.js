// Keyboard, and showing another moment of the page without loading it whole. Every page works without this file, by links and forms.
"use strict";
(() => {
  const typing = (el) => el.closest("input:not([type=range]), textarea, select, [contenteditable]");
  const AGAIN_MS = 400;
  let goes = false;
  const to = (path) => { if (path) location.href = path; };
  const rows = () => [...document.querySelectorAll("[data-rows] tbody tr")].map((row) => row.querySelector("a")).filter(Boolean);
  const step = (by) => {
    const links = rows(), at = links.indexOf(document.activeElement);
    if (links.length) links[Math.max(0, Math.min(links.length - 1, at < 0 ? (by > 0 ? 0 : links.length - 1) : at + by))].focus();
  };
  const click = (selector) => document.querySelector(selector)?.click();
  const slide = (by) => {
    const slider = document.querySelector("[data-slider]");
    if (!slider) return;
    slider.value = Number(slider.value) + by;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    slider.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const keys = {
    "/": () => document.getElementById("find")?.focus(),
    "?": () => document.getElementById("help")?.showModal(),
    j: () => step(1), k: () => step(-1),
    "[": () => slide(-1), "]": () => slide(1),
    n: () => click("[data-now]"),
    " ": () => click("[data-play]"),
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return;
    if (typing(event.target)) { if (event.key === "Escape") event.target.blur(); return; }
    if (goes) {
      goes = false;
      const link = [...document.querySelectorAll(".side a[data-key]")].find((a) => a.dataset.key === event.key);
      if (link) { event.preventDefault(); to(link.href); }
      return;
    }
    if (event.key === "g") { goes = true; setTimeout(() => { goes = false; }, 1500); return; }
    if (event.key === " " && event.target.closest("button, summary, a, pre")) return;
    const act = keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  addEventListener("click", (event) => {
    if (event.target.closest("[data-help]")) document.getElementById("help").showModal();
  });

  // What finds, in a fresh copy of a part of the page, the link or button that has the focus now; null where it is not in that part.
  const likeFocused = (part) => {
    const at = document.activeElement;
    if (!at || !part.contains(at) || !at.matches("a[href], button, summary, [data-slider]")) return null;
    const key = (el) => el.getAttribute("href") ?? el.getAttribute("aria-label") ?? el.textContent.trim();
    const wanted = key(at);
    return (fresh) => [...fresh.querySelectorAll(at.tagName)].find((el) => key(el) === wanted);
  };

  let isLeaving = false; // a link is followed: what comes in now must not lead back here
  addEventListener("beforeunload", () => { isLeaving = true; });
  addEventListener("pageshow", () => { isLeaving = false; }); // it was come back to

  // Put another answer of the server in place of what is shown. `keep()`: elements that stay as they are (a slider in the hand).
  window.perdure = {
    async show(address, { keep = () => [], record = true, unless = () => false } = {}) {
      const answer = await fetch(address, { headers: { accept: "text/html", "x-perdure-look": "1" }, credentials: "same-origin" });
      if (!(answer.headers.get("content-type") || "").startsWith("text/html")) return false;
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (isLeaving || unless()) return false; // the answer took its time: a link was followed, or something begun, meanwhile
      for (const selector of ["main", ".side", "footer", ".time"]) {
        const old = document.querySelector(selector), fresh = next.querySelector(selector);
        if (fresh && !old) { location.replace(address); return true; } // the slider comes with the first page
        if (!old || !fresh || keep().includes(selector)) continue;
        const told = selector === "main" && !record && old.querySelector(":scope > .notice[role=status]");
        if (told && !fresh.querySelector(":scope > .notice[role=status]")) fresh.prepend(told); // the outcome of an act stays
        const again = likeFocused(old);
        old.replaceWith(fresh);
        again?.(fresh)?.focus({ preventScroll: true }); // a walk through the rows by keys goes on where it was
      }
      document.body.toggleAttribute("data-past", next.body.hasAttribute("data-past"));
      document.title = next.title;
      if (record) history.replaceState(null, "", address);
      return true;
    },
    // Ask again for as long as the server says that it still reads the log. `goesOn`: whether the answer is still wanted.
    async settled(address, options = {}, goesOn = () => true) {
      while (document.querySelector("main [data-again]")) {
        await new Promise((done) => setTimeout(done, AGAIN_MS));
        if (!goesOn()) return;
        try { await perdure.show(address, options); } catch { /* the server may be back at the next turn */ }
      }
    },
    busy() {
      const at = document.activeElement;
      const isWriting = at && at !== document.body && at.closest("main input, main textarea, main select, .time input:not([type=range])");
      const opened = document.querySelector("main form.act details[open], main .steer details[open], dialog[open], [data-slider]:active");
      const isFilledIn = [...document.querySelectorAll("main form input, main form textarea")].some(
        (el) => el.value !== el.defaultValue || el.checked !== el.defaultChecked);
      const isRefused = document.querySelector("main form[data-refused]"); // what was typed is to be mended
      return Boolean(isWriting || isFilledIn || isRefused || opened || !getSelection().isCollapsed);
    },
  };
  const own = document.body.dataset.address; // the page came as the answer to a form that was refused
  if (own) history.replaceState(null, "", own);
  const refused = document.querySelector("main form[data-refused]");
  (refused?.querySelector("textarea, input:not([type=hidden]):not(.why), select") ?? refused?.querySelector("button"))?.focus();
  const here = location.href;
  perdure.settled(here, {}, () => location.href === here);
})();
