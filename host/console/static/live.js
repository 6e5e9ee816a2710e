// Live: the server says that the log has grown, and the page fetches itself anew, no more often than its console says and never under the hands.
"use strict";
(() => {
  const LEAST_MS = Number(document.body.dataset.refresh) || 2000;
  let last = 0, waiting = null;
  const isPast = () => document.body.hasAttribute("data-past");
  const refresh = async () => {
    waiting = null;
    if (isPast() || document.hidden || perdure.busy()) return;
    last = Date.now();
    const here = location.href, unless = () => location.href !== here || perdure.busy(); // another moment is shown meanwhile
    try { await perdure.show(here, { keep: () => (perdure.plays ? [".time"] : []), record: false, unless }); } catch { /* the stream says when the server is back */ }
  };
  const source = new EventSource(document.body.dataset.live);
  source.addEventListener("grown", (event) => {
    const told = JSON.parse(event.data), seq = document.querySelector("[data-seq]");
    if (isPast()) return;
    if (seq) seq.textContent = told.seq.toLocaleString("en");
    if (!waiting) waiting = setTimeout(refresh, Math.max(0, last + LEAST_MS - Date.now()));
  });
  source.addEventListener("error", () => { // refused for good; where only the connection broke, the browser asks again
    const foot = document.querySelector("footer");
    if (source.readyState === EventSource.CLOSED && foot && !foot.dataset.still) {
      foot.dataset.still = "1";
      foot.append(" · too many pages are open: this one does not move by itself");
    }
  });
  addEventListener("pagehide", () => source.close());
})();
