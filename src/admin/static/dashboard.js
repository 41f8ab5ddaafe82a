// Shows the hosts as the API tells them.
"use strict";

const INTERVAL_MS = 2000;

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch("/api/v1/hosts");
    if (!answer.ok) return;
    const rows = (await answer.json()).hosts.map((host) => {
      const row = document.createElement("p");
      row.textContent = `${host.names.join(", ")}: ${host.mode}`;
      return row;
    });
    document.querySelector("main").replaceChildren(...rows);
  } catch {
    // The process may be restarting; the next round will tell.
  }
}

refresh();
setInterval(refresh, INTERVAL_MS);
