// Refreshes the page's content while someone looks at it.
"use strict";

const INTERVAL_MS = 2000;

async function refresh() {
  if (document.hidden || !getSelection().isCollapsed) return;
  try {
    const answer = await fetch("/");
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.querySelector("main").replaceWith(fresh.querySelector("main"));
  } catch {
    // The process may be restarting; the next round will tell.
  }
}

setInterval(refresh, INTERVAL_MS);
