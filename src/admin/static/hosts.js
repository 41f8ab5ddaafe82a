// All hostnames: how far the whole estate has walked, and one light row each. Details are loaded when a row is opened.

import { findingNote, findingsOf } from "./cloudflare.js";
import { h, svg } from "./dom.js";
import { count, countdown, daysLeft, expiry, number, sentence, span, time, URGENT_DAYS } from "./format.js";
import { details } from "./host.js";
import { walk } from "./walk.js";

/** Rows shown before more are asked for. */
export const PAGE_ROWS = 100;

const STAGES = [
  { key: "off", label: "off", hint: "nobody is asked" },
  { key: "observe", label: "observe", hint: "judged, everyone let in" },
  { key: "ready", label: "ready", hint: "the gate is open" },
  { key: "enforce", label: "enforce", hint: "only who verifies" },
];

const failed = (network) => network.handshakes - network.verified;

const isReady = (host) => host.mode === "observe" && host.readiness.ready;

/** What somebody should look at: a decision to take, or something that breaks soon or already does. */
export function needsAttention(host, { cloudflare }) {
  const days = daysLeft(host.certificate_not_after);
  return (
    Boolean(host.confirm_by) ||
    findingsOf(host, cloudflare).length > 0 ||
    isReady(host) ||
    (days !== null && days < URGENT_DAYS) ||
    (host.mode !== "off" && failed(host.evidence.cloudflare) > 0) ||
    (host.mode === "enforce" && host.readiness.shortfalls.length > 0)
  );
}

const inStage = {
  off: (host) => host.mode === "off",
  observe: (host) => host.mode === "observe",
  ready: isReady,
  enforce: (host) => host.mode === "enforce",
  attention: needsAttention,
};

/** The whole estate on one line; each station is a filter. */
export function estate(hosts, state) {
  return h(
    "ol",
    { class: "estate", "aria-label": "The walk of all hostnames" },
    STAGES.map(({ key, label, hint }) => {
      const here = hosts.filter((host) => inStage[key](host, state)).length;
      return h(
        "li",
        { class: `stage ${key}${here ? "" : " none"}` },
        h(
          "button",
          { type: "button", "data-do": "stage", "data-stage": key, "aria-pressed": String(state.stage === key) },
          h("span", { class: "mark", "aria-hidden": "true" }),
          h("span", { class: "figure" }, number(here)),
          h("span", { class: "label" }, label),
          h("span", { class: "hint" }, here ? hint : "none"),
        ),
      );
    }),
  );
}

export function matching(hosts, state) {
  const words = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
  const has = (host, word) => host.names.some((name) => name.toLowerCase().includes(word)) || host.mode === word;
  return hosts.filter((host) => (!state.stage || inStage[state.stage](host, state)) && words.every((word) => has(host, word)));
}

/** The rows. */
export function rows(hosts, state) {
  return hosts.slice(0, state.shown).map((host) => row(host, state));
}

function row(host, state) {
  const open = state.open.has(host.name);
  const id = `details-of-${host.name}`;
  return h(
    "li",
    { class: `host ${host.mode}${open ? " opened" : ""}`, "data-key": host.name },
    h(
      "div",
      { class: "row", "data-do": "toggle", "data-host": host.name },
      h(
        "h3",
        { class: "name" },
        h("button", { type: "button", "data-do": "toggle", "data-host": host.name, "aria-expanded": String(open), "aria-controls": id }, h("span", {}, hostName(host.name))),
        host.names.length > 1 && h("span", { class: "more-names", title: host.names.slice(1).join(", ") }, ` and ${count(host.names.length - 1, "more name")}`),
      ),
      h("div", { class: "walks" }, walk(host), h("span", { class: "mode" }, host.mode)),
      evidence(host),
      h("div", { class: "verdict" }, open ? null : [h("div", {}, verdict(host), certificateNote(host), findingNote(host, state.cloudflare)), nextStep(host)]),
    ),
    h("div", { class: "details", id, hidden: !open }, open && details(host, state.details.get(host.name), state)),
  );
}

/** A name may break before each dot, nowhere else unless it must. */
function hostName(name) {
  return name.split(/(?=\.)/).flatMap((label, index) => (index ? [h("wbr"), label] : [label]));
}

function evidence(host) {
  const { cloudflare, elsewhere } = host.evidence;
  if (host.mode === "off") return h("div", { class: "evidence quiet" }, "not judged");
  const bad = failed(cloudflare);
  return h(
    "div",
    { class: "evidence" },
    share(cloudflare.verified, bad),
    h(
      "span",
      { class: "counts" },
      h("span", { class: cloudflare.verified ? "good" : "quiet" }, `${number(cloudflare.verified)} verified`),
      bad > 0 && h("span", { class: "bad" }, `${number(bad)} failed`),
      elsewhere.handshakes > 0 && h("span", { class: "elsewhere quiet" }, `${number(elsewhere.handshakes)} elsewhere`),
    ),
  );
}

// As in the charts: verified above the line, failed below.
function share(verified, bad) {
  const all = verified + bad;
  const width = (part) => (part ? Math.max(2, (part / all) * 120) : 0);
  return svg(
    "svg",
    { class: "share", viewBox: "0 0 120 9", width: 120, height: 9, preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("line", { x1: 0, x2: 120, y1: 4.5, y2: 4.5 }),
    svg("rect", { class: "look0", x: 0, y: 0, width: width(verified), height: 4 }),
    svg("rect", { class: "failed", x: 120 - width(bad), y: 5, width: width(bad), height: 4 }),
  );
}

function verdict(host) {
  const [first, ...others] = host.readiness.shortfalls;
  const more = others.length > 0 && h("span", { class: "quiet" }, ` And ${count(others.length, "more thing")}.`);
  if (host.confirm_by) {
    return h("p", { class: "warn" }, "Falls back to observe in ", h("b", { "data-until": host.confirm_by }, countdown(host.confirm_by)), " unless someone confirms.");
  }
  if (host.mode === "off") return h("p", { class: "quiet" }, "Nobody is asked for a certificate.");
  if (isReady(host)) {
    const notices = host.readiness.notices.length;
    return h("p", { class: "good" }, "Ready to enforce.", notices > 0 && h("span", { class: "quiet" }, ` Read ${count(notices, "notice")} first.`));
  }
  if (first) return h("p", {}, sentence(first.sentence), more);
  const refused = failed(host.evidence.cloudflare);
  if (refused > 0) return h("p", { class: "bad" }, `${count(refused, "handshake")} from Cloudflare ${refused === 1 ? "was" : "were"} refused or would be.`);
  return h("p", { class: "quiet" }, "Only certificates that verify are let in.");
}

function certificateNote(host) {
  const { tone, words } = expiry(host.certificate_not_after);
  if (tone === "calm") return null;
  return h("p", { class: tone }, `Its own certificate ${words.startsWith("end") ? words : `ends in ${words}`}.`);
}

function nextStep(host) {
  const button = (act, label, kind) => h("button", { type: "button", class: kind, "data-do": act, "data-host": host.name, "aria-label": `${label.replace("…", "")} ${host.name}` }, label);
  if (host.confirm_by) return button("confirm", "Confirm", "primary");
  if (isReady(host)) return button("enforce", "Enforce…", "primary");
  return null;
}

/** The head of the columns: the walk's stations stand over their places in every row. */
export function columnHead(hosts) {
  const seconds = hosts.find((host) => host.evidence.window_seconds)?.evidence.window_seconds ?? 0;
  return h(
    "div",
    { class: "column-head", "aria-hidden": "true" },
    h("span", {}, "hostname"),
    h("span", { class: "stations" }, ["off", "observe", "enforce"].map((mode) => h("span", {}, mode))),
    h("span", {}, seconds ? `Cloudflare, last ${windowWords(seconds)}` : "Cloudflare"),
    h("span", {}, "verdict"),
  );
}

const windowWords = (seconds) => (seconds > 3600 && seconds <= 48 * 3600 && seconds % 3600 === 0 ? `${seconds / 3600} h` : span(seconds * 1000));

/** What there is to see when there is no row. */
export function blank(hosts, state) {
  if (hosts.length === 0) {
    return h(
      "div",
      { class: "blank" },
      h("p", {}, "No hostname is configured yet."),
      h("p", {}, "Add a ", h("code", {}, "[[host]]"), " table to ", h("code", {}, state.status?.config ?? "the configuration"), " and reload: ", h("code", {}, "originlock check"), " says beforehand whether it is right."),
    );
  }
  return h("div", { class: "blank" }, h("p", {}, "No hostname fits."), h("p", {}, h("button", { type: "button", "data-do": "clear-filter" }, "Show all")));
}
