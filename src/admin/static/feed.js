// The live feed: every handshake as it ends, newest first, bounded.

import { get, stream, Unreachable } from "./api.js";
import { h } from "./dom.js";
import { number, sentence, time } from "./format.js";

/** Rows shown, and handshakes kept for the filter to choose from. */
const [MAX_ROWS, MAX_KEPT] = [200, 1000];
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 15_000;
/** Faster than this nobody reads. */
const DRAW_MS = 250;

export class Feed {
  /** `parts`: the elements it lives in. */
  constructor(parts) {
    this.parts = parts;
    this.kept = [];
    this.waiting = 0;
    this.skipped = 0;
    this.paused = false;
    this.last = 0;
    this.filter = { text: "", host: "", reason: "", network: "" };
    this.stopping = null;
    this.drawing = null;
    for (const control of parts.filters.elements) {
      control.addEventListener("input", () => this.choose());
    }
    parts.filters.addEventListener("submit", (event) => event.preventDefault());
    parts.filters.addEventListener("reset", () => requestAnimationFrame(() => this.choose()));
    parts.pause.addEventListener("click", () => this.pause(!this.paused));
  }

  /** Runs until `stop`; starting twice changes nothing. */
  start() {
    if (this.stopping) return;
    this.stopping = new AbortController();
    this.run(this.stopping.signal);
  }

  stop() {
    this.stopping?.abort();
    this.stopping = null;
  }

  async run(signal) {
    let wait = FIRST_WAIT_MS;
    while (!signal.aborted) {
      let why = "The stream ended.";
      try {
        await this.catchUp();
        if (signal.aborted) return;
        await stream(this.last, {
          open: () => {
            wait = FIRST_WAIT_MS;
            this.tell("live", "Live");
          },
          event: (name, data) => this.take(name, data),
        }, signal);
      } catch (error) {
        if (signal.aborted) return;
        why = error instanceof Unreachable || error.report ? sentence(error.message) : "The connection is lost.";
      }
      if (signal.aborted) return;
      this.tell("lost", `${why} Trying again; what happens meanwhile is fetched then.`);
      await new Promise((resolve) => setTimeout(resolve, wait));
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    }
  }

  // The stream tells what comes; what was before it is asked for. Numbers that begin anew mean a new process.
  async catchUp() {
    const { handshakes } = await get(`handshakes?limit=${MAX_ROWS}`);
    const newest = handshakes[0]?.sequence ?? 0;
    if (newest < this.last) {
      this.kept = [];
      this.last = 0;
      this.parts.rows.replaceChildren();
    }
    for (const handshake of handshakes.reverse()) this.keep(handshake);
    this.draw();
  }

  take(name, data) {
    if (name === "skipped") {
      const told = JSON.parse(data);
      this.skipped += typeof told === "number" ? told : (told.skipped ?? told.count ?? 1);
      this.drawSoon();
    } else if (name === "handshake") {
      this.keep(JSON.parse(data));
      this.drawSoon();
    }
  }

  keep(handshake) {
    if (!(handshake.sequence > this.last)) return;
    this.last = handshake.sequence;
    this.kept.unshift(handshake);
    if (this.kept.length > MAX_KEPT) this.kept.length = MAX_KEPT;
    if (this.paused) this.waiting += 1;
  }

  pause(paused) {
    this.paused = paused;
    this.waiting = 0;
    this.parts.pause.setAttribute("aria-pressed", String(paused));
    this.parts.pause.textContent = paused ? "Go on" : "Pause";
    this.draw();
  }

  choose() {
    const data = new FormData(this.parts.filters);
    for (const key of Object.keys(this.filter)) this.filter[key] = String(data.get(key) ?? "").trim().toLowerCase();
    this.draw(true);
  }

  fits(handshake) {
    const { text, host, reason, network } = this.filter;
    return (
      (!reason || handshake.reason === reason) &&
      (!network || handshake.network === network) &&
      (!host || (handshake.host ?? "").toLowerCase().includes(host) || (handshake.server_address ?? "").toLowerCase().includes(host)) &&
      (!text || haystack(handshake).includes(text))
    );
  }

  drawSoon() {
    this.drawing ??= setTimeout(() => {
      this.drawing = null;
      this.draw();
    }, DRAW_MS);
  }

  draw(anyway = false) {
    this.drawNote();
    if (this.paused && !anyway) return;
    const fitting = this.kept.filter((handshake) => this.fits(handshake)).slice(0, MAX_ROWS);
    const body = this.parts.rows;
    if (anyway) body.replaceChildren(...fitting.map(line));
    else this.drawNews(body, fitting);
    this.parts.table.hidden = fitting.length === 0;
    this.parts.blank.hidden = fitting.length > 0;
    this.parts.blank.textContent = this.kept.length
      ? "No handshake fits the filter."
      : "Nobody has connected yet. Each handshake appears here as it ends; a first one: curl -k https://this-origin/";
    this.drawReasons();
  }

  // Rows never change and news stands above them: what stays is not touched.
  drawNews(body, fitting) {
    const newest = Number(body.firstElementChild?.dataset.key ?? 0);
    body.prepend(...fitting.filter((handshake) => handshake.sequence > newest).map(line));
    while (body.childElementCount > fitting.length) body.lastElementChild.remove();
  }

  drawNote() {
    const parts = [];
    if (this.paused) parts.push(this.waiting ? `Paused; ${number(this.waiting)} came since.` : "Paused.");
    if (this.skipped) parts.push(`${number(this.skipped)} came too fast to be shown.`);
    this.parts.note.textContent = parts.join(" ");
  }

  drawReasons() {
    const select = this.parts.filters.elements.reason;
    const offered = new Set([...select.options].map((option) => option.value));
    for (const { reason } of this.kept) {
      if (offered.has(reason)) continue;
      offered.add(reason);
      select.append(h("option", { value: reason }, reason));
    }
  }

  tell(state, words) {
    this.parts.state.className = `stream ${state}`;
    if (this.parts.state.textContent !== words) this.parts.state.textContent = words;
  }
}

const haystack = (handshake) =>
  [
    handshake.client_address, handshake.server_address, handshake.host, handshake.reason, handshake.network,
    handshake.certificate?.subject, handshake.certificate?.issuer, handshake.certificate?.sha256, handshake.tls_version, handshake.alpn,
    handshake.detail, handshake.mode,
  ].filter(Boolean).join(" ").toLowerCase();

function line(handshake) {
  const [words, tone] = outcome(handshake);
  const cell = (label, kind, ...children) => h("td", { "data-label": label, class: kind }, children);
  const name = handshake.server_address ?? handshake.host;
  const tls = [handshake.tls_version && `TLS ${handshake.tls_version}`, handshake.alpn, handshake.resumed && "resumed"].filter(Boolean).join(" · ");
  return h(
    "tr",
    { "data-key": handshake.sequence },
    cell("Time", "when", time(handshake.at, "second")),
    h("td", { "data-label": "Outcome", class: `outcome ${tone}` }, words),
    h("td", { "data-label": "Reason", class: "reason", title: handshake.detail ?? handshake.explanation }, h("code", {}, handshake.reason)),
    cell("Asked for", "machine asked", name ?? h("span", { class: "quiet" }, "no name")),
    cell("From", "source", h("span", { class: "machine" }, handshake.client_address), " ", h("span", { class: `from ${handshake.network ?? ""}` }, handshake.network === "cloudflare" ? "Cloudflare" : (handshake.network ?? ""))),
    h("td", { "data-label": "Certificate", class: "machine subject", title: handshake.certificate?.sha256 }, handshake.certificate ? (handshake.certificate.subject ?? "unreadable") : h("span", { class: "quiet" }, "none")),
    cell("Session", "session quiet", tls || "–"),
  );
}

function outcome({ decision, would_refuse: wouldRefuse }) {
  if (decision !== "admit") return ["refused", "bad"];
  return wouldRefuse ? ["would refuse", "warn"] : ["let in", "good"];
}
