// Dark or light, as this browser was told last; before anything is drawn, so that nothing flashes.
"use strict";
(() => {
  const root = document.documentElement;
  let kept = null;
  try { kept = localStorage.getItem("perdure-theme"); } catch { /* no storage: the system's own preference counts */ }
  if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    try { localStorage.setItem("perdure-theme", root.dataset.theme); } catch { /* only for this page, then */ }
  });
})();
