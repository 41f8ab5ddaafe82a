// Failures by kind, and certificates by expiry.

import { h } from "./dom.js";
import { count, expiry, number, sentence, time } from "./format.js";

const NETWORKS = { cloudflare: "from Cloudflare", elsewhere: "from elsewhere" };
const ROLES = { client: "client", server: "own", ca: "CA" };

export function failureList(failures, withHost = true) {
  return h("ul", { class: "failures" }, failures.map((failure) => oneFailure(failure, withHost)));
}

/** Those that Cloudflare's visitors see as an error come first. */
export function allFailures(failures) {
  if (failures.length === 0) return noFailures();
  const groups = [
    ["From Cloudflare: refused, these are error pages", failures.filter(({ network }) => network === "cloudflare")],
    ["From elsewhere: whoever found the way around Cloudflare", failures.filter(({ network }) => network !== "cloudflare")],
  ];
  return groups
    .filter(([, some]) => some.length > 0)
    .map(([title, some]) => h("section", { class: "group", "data-key": title }, h("h3", {}, title), failureList(some)));
}

function oneFailure(failure, withHost) {
  const { host, network, reason, handshakes, first, last } = failure;
  return h(
    "li",
    { class: network, "data-key": `${host} ${network} ${reason}` },
    h(
      "p",
      { class: "kind" },
      withHost && h("b", { class: "machine" }, host),
      h("code", {}, reason),
      h("span", {}, `${count(handshakes, "handshake")} ${NETWORKS[network] ?? network}`),
    ),
    h("p", { class: "said" }, sentence(failure.cause)),
    h("p", { class: "next-step" }, h("b", {}, "Next: "), sentence(failure.next_step)),
    h(
      "p",
      { class: "quiet" },
      "Last ", time(last.at, "second"), " from ", h("span", { class: "machine" }, last.client_address),
      last.server_name && last.server_name !== host && [" for ", h("span", { class: "machine" }, last.server_name)],
      "; first ", time(first.at, "second"), ".",
    ),
    last.certificate && shown(last.certificate),
  );
}

function shown(certificate) {
  return h(
    "details",
    {},
    h("summary", {}, "The certificate it showed", certificate.known_as && [": ", certificate.known_as]),
    h(
      "dl",
      { class: "facts" },
      [
        ["Subject", certificate.subject],
        ["Issuer", certificate.issuer],
        ["Ends", time(certificate.not_after, "date")],
        ["SHA-256", h("span", { class: "machine" }, certificate.sha256)],
      ].map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    ),
  );
}

function noFailures() {
  return h(
    "div",
    { class: "blank" },
    h("p", {}, "No handshake failed within the window."),
    h("p", {}, "If no hostname is past off yet, nobody was asked for a certificate: move one to observe first."),
  );
}

/** What Cloudflare asked for in vain. */
export function unknownNames(names) {
  if (!names?.length) return [];
  const cell = (label, value, kind) => h("td", { "data-label": label, class: kind }, value);
  return [
    h("h3", {}, "Asked for in vain"),
    h("p", { class: "lead" }, "Cloudflare asked for these names, and no host has them: one is missing from the configuration, or a DNS record leads here that should not."),
    h(
      "table",
      { class: "stacks" },
      h("thead", {}, h("tr", {}, ["Name", "Handshakes", "Last asked by", "Last", "First"].map((title) => h("th", { scope: "col" }, title)))),
      h("tbody", {}, names.map((one) =>
        h(
          "tr",
          { "data-key": one.name },
          h("th", { scope: "row", class: "machine" }, one.name),
          cell("Handshakes", number(one.handshakes), "figure"),
          cell("Last asked by", one.client_address, "machine"),
          cell("Last", time(one.last_seen)),
          cell("First", time(one.first_seen)),
        ),
      )),
    ),
  ];
}

/** The soonest to expire first, as they come. */
export function certificateTable(certificates) {
  return h(
    "table",
    { class: "stacks certificates" },
    h("thead", {}, h("tr", {}, ["Ends", "Certificate", "Whose", "Seen"].map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, certificates.map(oneCertificate)),
  );
}

function oneCertificate(certificate) {
  const { tone, words } = expiry(certificate.not_after);
  const mark = { bad: "‼ ", warn: "! ", calm: "" }[tone];
  return h(
    "tr",
    { "data-key": `${certificate.role} ${certificate.host ?? ""} ${certificate.sha256} ${certificate.seen?.network ?? ""}` },
    h("th", { scope: "row", class: "ends" }, h("span", { class: `days ${tone}` }, mark, words), certificate.not_after !== "never" && h("span", { class: "quiet" }, " ", time(certificate.not_after, "date"))),
    h(
      "td",
      { "data-label": "Certificate", class: "subject" },
      h("span", { class: "machine" }, certificate.subject || "(no subject)"),
      certificate.known_as && h("span", { class: "known" }, certificate.known_as),
      h("details", {}, h("summary", {}, "issuer and fingerprint"), h("p", { class: "machine quiet" }, certificate.issuer), h("p", { class: "machine quiet" }, certificate.sha256)),
    ),
    h("td", { "data-label": "Whose" }, h("span", { class: "role" }, ROLES[certificate.role] ?? certificate.role), certificate.host && [" ", h("span", { class: "machine" }, certificate.host)]),
    h("td", { "data-label": "Seen" }, seen(certificate.seen)),
  );
}

function seen(report) {
  if (!report) return h("span", { class: "quiet" }, "–");
  return [
    `${number(report.handshakes)} × `,
    h("code", {}, report.reason),
    ` ${NETWORKS[report.network] ?? report.network}, last `,
    time(report.last_seen),
  ];
}

export function noCertificates() {
  return h("div", { class: "blank" }, h("p", {}, "No certificate yet."), h("p", {}, "A hostname brings its own, its CA’s, and those that clients show once it observes."));
}
