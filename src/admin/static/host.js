// One hostname, opened: may it be enforced, what speaks for it, whom would it cut off.

import { charts } from "./chart.js";
import { findingsPart } from "./cloudflare.js";
import { certificateTable, failureList } from "./lists.js";
import { h } from "./dom.js";
import { count, countdown, expiry, number, sentence, time } from "./format.js";

/** `loaded` is a HostDetail, an Error, or nothing yet. The summary in `host` is newer than it. */
export function details(host, loaded, state) {
  if (loaded instanceof Error) return h("p", { class: "trouble" }, `The details cannot be loaded: ${loaded.message} Trying again.`);
  return [
    h("div", { class: "columns" }, h("div", { class: "left" }, readiness(host), findingsPart(host, state.cloudflare), actions(host), facts(host)), h("div", { class: "right" }, evidence(host, loaded, state))),
    loaded ? [outsiders(loaded), failures(loaded), byName(loaded), certificates(loaded)] : null,
  ];
}

function evidence(host, loaded, state) {
  if (!loaded) return h("p", { class: "quiet" }, "Loading what was seen…");
  if (host.mode === "off") return h("p", { class: "blank" }, "In off nobody is asked for a certificate, so there is no evidence. Observe judges every handshake and still lets everyone in.");
  return charts(loaded, state.spans.get(host.name) ?? "hour");
}

function readiness(host) {
  const { ready, shortfalls, notices } = host.readiness;
  const missing = count(shortfalls.length, "thing is", "things are");
  const title = {
    off: "Not judged",
    observe: ready ? "Ready to enforce" : `Not ready to enforce: ${missing} missing`,
    enforce: shortfalls.length ? `Enforced, although ${missing} missing` : "Enforced",
  }[host.mode];
  return h(
    "section",
    { class: `readiness ${ready ? "ready" : "not-ready"}` },
    h("h4", {}, title),
    shortfalls.length > 0 && h("ul", { class: "shortfalls" }, shortfalls.map(shortfall)),
    ready && host.mode === "observe" && h("p", { class: "said" }, "Cloudflare’s handshakes verify, in number and from enough places. Enforcing refuses everybody else."),
    host.mode === "enforce" && shortfalls.length === 0 && h("p", { class: "said" }, "Whoever shows no certificate that verifies is refused in the handshake."),
    notices.length > 0 && [h("h4", {}, host.mode === "enforce" ? "Worth knowing" : "Before you enforce"), h("ul", { class: "notices" }, notices.map((notice) => h("li", {}, sentence(notice))))],
  );
}

export const shortfall = ({ name, sentence: said }) =>
  h("li", {}, name && !said.includes(name) && h("b", {}, `${name}: `), sentence(said));

function actions(host) {
  const button = (act, label, kind) => h("button", { type: "button", class: kind, "data-do": act, "data-host": host.name }, label);
  const choices = {
    off: () => [button("observe", "Observe…", "primary")],
    observe: () => [host.readiness.ready ? button("enforce", "Enforce…", "primary") : button("enforce", "Enforce anyway…", "risky")],
    enforce: () => [host.confirm_by && button("confirm", "Confirm", "primary"), button("observe", "Back to observe…")],
  }[host.mode]();
  return h(
    "div",
    { class: "actions" },
    host.confirm_by && h("p", { class: "warn" }, "Falls back to observe in ", h("b", { "data-until": host.confirm_by }, countdown(host.confirm_by)), ": it was enforced on trial."),
    h("div", { class: "buttons" }, choices),
  );
}

function facts(host) {
  const { trust, source } = host;
  const end = (text) => {
    const { tone, words } = expiry(text);
    return [time(text, "date"), " ", h("span", { class: tone === "calm" ? "quiet" : tone }, tone === "calm" ? `(${words})` : words)];
  };
  const trusted = trust && [trust.ca.join(", "), trust.pins ? `${count(trust.pins, "pin")}` : ""].filter(Boolean).join(" and ");
  const list = [
    ["Trusts", trust ? trusted : "nobody in particular"],
    trust?.ca_not_after && ["CA ends", end(trust.ca_not_after)],
    trust?.crl_next_update && ["Revocation list due", end(trust.crl_next_update)],
    host.certificate_not_after && ["Own certificate ends", end(host.certificate_not_after)],
    ["Goes on to", host.upstream.join(", ") || "–"],
    source && ["Written in", `${source.file}:${source.line}`],
    host.mode !== "off" && ["Came from", count(host.evidence.edge_addresses, "edge address", "edge addresses")],
    host.mode !== "off" && ["Last verified", host.evidence.last_verified ? time(host.evidence.last_verified, "second") : "not yet"],
  ].filter(Boolean);
  return [
    trust?.cloudflare_shared_ca && h("p", { class: "warn" }, "It trusts the CA that all of Cloudflare’s customers share: any of them can reach this origin through Cloudflare."),
    h("dl", { class: "facts" }, list.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
  ];
}

function part(title, note, ...content) {
  return h("section", { class: "part", "data-key": title }, h("h4", {}, title), note && h("p", { class: "note" }, note), content);
}

function outsiders(detail) {
  if (!detail.outsiders.length) return null;
  const cell = (label, value, kind) => h("td", { "data-label": label, class: kind }, value);
  return part(
    "Around Cloudflare",
    "Who reaches this origin directly, without a certificate that verifies. Enforcing cuts them off; if one is yours, give it a certificate first.",
    h(
      "table",
      { class: "stacks" },
      h("thead", {}, h("tr", {}, ["Network", "Handshakes", "Requests", "Reason", "Last path", "User agent", "Last seen"].map((title) => h("th", { scope: "col" }, title)))),
      h("tbody", {}, detail.outsiders.map((one) =>
        h(
          "tr",
          {},
          h("th", { scope: "row", class: "machine" }, one.network),
          cell("Handshakes", number(one.handshakes), "figure"),
          cell("Requests", number(one.requests), "figure"),
          cell("Reason", h("code", {}, one.reason)),
          cell("Last path", one.path ?? "–", "machine"),
          cell("User agent", one.user_agent ?? "–"),
          cell("Last seen", time(one.last_seen)),
        ),
      )),
    ),
  );
}

function failures(detail) {
  return detail.failures.length ? part("Why handshakes fail", null, failureList(detail.failures, false)) : null;
}

function byName(detail) {
  const names = Object.entries(detail.by_name);
  if (names.length < 2) return null;
  return part(
    "By name",
    "Every name has to be seen with a certificate that verifies.",
    h(
      "table",
      { class: "stacks" },
      h("thead", {}, h("tr", {}, ["Name", "Verified", "Failed", "Elsewhere", "Last verified"].map((title) => h("th", { scope: "col" }, title)))),
      h("tbody", {}, names.map(([name, { cloudflare, elsewhere, last_verified: last }]) =>
        h(
          "tr",
          {},
          h("th", { scope: "row", class: "machine" }, name),
          h("td", { "data-label": "Verified", class: "figure" }, number(cloudflare.verified)),
          h("td", { "data-label": "Failed", class: "figure" }, number(cloudflare.handshakes - cloudflare.verified)),
          h("td", { "data-label": "Elsewhere", class: "figure" }, number(elsewhere.handshakes)),
          h("td", { "data-label": "Last verified" }, last ? time(last) : "not yet"),
        ),
      )),
    ),
  );
}

function certificates(detail) {
  return detail.certificates.length ? part("Certificates", null, certificateTable(detail.certificates)) : null;
}
