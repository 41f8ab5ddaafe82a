// Cloudflare's side, where it does not fit: beside the host it concerns, or above them all.

import { h } from "./dom.js";
import { count, now, sentence, time } from "./format.js";

const HOUR_MS = 3_600_000;
/** Looks are a day apart at most; one that is older than this did not come about. */
const OLD_MS = 25 * HOUR_MS;

const TONES = { alarm: "bad", warning: "warn" };
const tone = (finding) => TONES[finding.weight] ?? "warn";

/** What concerns `host`, the gravest first, as they come. */
export const findingsOf = (host, report) => (report?.findings ?? []).filter((one) => one.host !== null && host.names.includes(one.host));

/** What concerns no host that is here: whole zones. */
function others(hosts, report) {
  const names = new Set(hosts.flatMap((host) => host.names));
  return report.findings.filter((one) => one.host === null || !names.has(one.host));
}

/** In a host's row: the first of them, and how many more there are. */
export function findingNote(host, report) {
  const [first, ...more] = findingsOf(host, report);
  if (!first) return null;
  const rest = more.length > 0 && h("span", { class: "quiet" }, ` And ${count(more.length, "more thing")} there.`);
  return h("p", { class: tone(first) }, h("b", {}, "At Cloudflare: "), sentence(first.sentence), rest);
}

/** In a host's details: all of them, and what to do about it. */
export function findingsPart(host, report) {
  const found = findingsOf(host, report);
  return found.length ? h("section", { class: "at-cloudflare", "data-key": "at-cloudflare" }, h("h4", {}, "At Cloudflare"), list(found, false)) : null;
}

/** Above all hosts: what concerns whole zones, and whether the last look came to nothing or is old. */
export function zones(hosts, report) {
  if (!report?.watched) return [];
  const found = others(hosts, report);
  return [stale(report), found.length ? list(found, true) : null];
}

function list(found, withZone) {
  return h("ul", { class: "findings" }, found.map((one) =>
    h(
      "li",
      { class: `is-${one.weight}`, "data-key": `${one.zone} ${one.host ?? ""} ${one.kind} ${one.sentence}` },
      h("p", { class: "kind" }, withZone && h("b", { class: "machine" }, one.host ?? one.zone), h("code", {}, one.kind)),
      h("p", { class: "said" }, sentence(one.sentence)),
      h("p", { class: "next-step" }, h("b", {}, "Next: "), sentence(one.next_step)),
    ),
  ));
}

function stale({ checked_at: checkedAt, error }) {
  const since = h("span", { class: "quiet" }, checkedAt ? [" What is said of it is from ", time(checkedAt), "."] : " Nothing is known of it yet.");
  if (error) return h("p", { class: "stale warn" }, h("b", {}, "Cloudflare’s side could not be looked at. "), sentence(error), since);
  const old = checkedAt && now() - Date.parse(checkedAt) > OLD_MS;
  return old ? h("p", { class: "stale warn" }, h("b", {}, "Cloudflare’s side was not looked at for long."), since) : null;
}

/** In the foot: whether it is looked at, and when that was last done. */
export function lookedAt(report) {
  if (!report?.watched) return "not looked at";
  return [report.zones.join(", "), report.checked_at ? [", last looked at ", time(report.checked_at)] : ", not looked at yet"];
}
