// Evidence over time: what verified stands above the line, what failed hangs below it, by reason.

import { h, svg } from "./dom.js";
import { clockTime, count, dayTime, now, number } from "./format.js";

const [WIDTH, HEIGHT] = [600, 104];
/** The least that anything is drawn with: one failure among thousands must be seen. */
const LEAST = 2.5;
const SPANS = {
  hour: { label: "Last hour", seconds: 3600, slots: 60, each: "minute", ticks: 4, tick: clockTime },
  week: { label: "Last 7 days", seconds: 7 * 86_400, slots: 168, each: "hour", ticks: 7, tick: dayTime },
};
/** Reasons with a look of their own; the others share what is left, in the order in which they come. */
const LOOKS = { no_certificate: 1, unknown_issuer: 2, bad_signature: 3, expired: 4, proof_failed: 5 };
const SPARE_LOOKS = [6, 7, 8];

/** Both networks side by side over one span. */
export function charts(detail, chosen) {
  const span = SPANS[chosen];
  const columns = chosen === "hour" ? detail.last_hour : detail.last_week;
  const looks = looksOf(columns);
  return h(
    "section",
    { class: "charts", "aria-label": "Handshakes over time" },
    h(
      "div",
      { class: "charts-head" },
      h("h4", {}, "Handshakes"),
      h(
        "div",
        { class: "segments", role: "group", "aria-label": "Time span" },
        Object.entries(SPANS).map(([key, { label }]) =>
          h("button", { type: "button", "data-do": "span", "data-host": detail.name, "data-span": key, "aria-pressed": String(key === chosen) }, label),
        ),
      ),
    ),
    figure("From Cloudflare", "cloudflare", columns, span, looks),
    figure("From elsewhere", "elsewhere", columns, span, looks),
    columns.length > 0 && table(columns, span),
  );
}

function figure(title, network, columns, span, looks) {
  const totals = sum(columns.map((column) => column[network]));
  const reasons = Object.keys(totals).sort(byReason);
  const all = reasons.reduce((sum, reason) => sum + totals[reason], 0);
  return h(
    "figure",
    { class: "chart", "data-key": network },
    h("figcaption", {}, h("b", {}, title), " ", h("span", { class: "quiet" }, all ? count(all, "handshake") : "no handshake")),
    all ? drawing(title, network, columns, span, looks, totals) : h("p", { class: "blank" }, emptyWords(network, span)),
    all > 0 && h("ul", { class: "legend" }, reasons.map((reason) => legend(reason, totals[reason], looks))),
  );
}

const emptyWords = (network, span) =>
  network === "cloudflare"
    ? `Nobody came from Cloudflare’s addresses in ${span.label.toLowerCase().replace("last", "the last")}.`
    : "Nobody reached this origin around Cloudflare.";

function legend(reason, total, looks) {
  const swatch = svg("svg", { class: "swatch", viewBox: "0 0 12 12", width: 12, height: 12, "aria-hidden": "true" }, bar(0, 0, 12, 12, looks.get(reason)));
  return h("li", {}, swatch, h("code", {}, reason), " ", h("span", { class: "quiet" }, number(total)));
}

function drawing(title, network, columns, span, looks, totals) {
  const end = now();
  const start = end - span.seconds * 1000;
  const up = (column) => column[network].verified ?? 0;
  const down = (column) => failures(column[network]).reduce((sum, [, value]) => sum + value, 0);
  const [most, worst] = [Math.max(...columns.map(up)), Math.max(...columns.map(down))];
  const room = HEIGHT - (most && worst ? 2 * LEAST : 0);
  const unit = room / Math.max(1, most + worst);
  const line = most ? Math.min(most * unit + LEAST, HEIGHT - (worst ? LEAST * 2 : 0)) : LEAST;
  const slot = WIDTH / span.slots;
  const width = Math.max(1.5, slot - (slot > 6 ? 2 : 0.8));
  const drawn = columns.map((column) => {
    const x = ((Date.parse(column.from) - start) / (span.seconds * 1000)) * WIDTH;
    if (!(x > -slot && x < WIDTH)) return null;
    const above = up(column) ? Math.max(LEAST, up(column) * unit) : 0;
    let y = line + 1;
    const below = failures(column[network]).map(([reason, value]) => {
      const height = Math.max(LEAST, value * unit);
      const part = bar(x, y, width, height, looks.get(reason));
      y += height;
      return part;
    });
    return svg("g", {}, svg("title", {}, columnWords(column, network, span)), above > 0 && bar(x, line - above - 1, width, above, looks.get("verified")), below);
  });
  const words = Object.entries(totals).map(([reason, total]) => `${reason} ${number(total)}`).join(", ");
  return h(
    "div",
    { class: "plot" },
    h("span", { class: "most" }, most ? `${number(most)} verified a ${span.each} at most` : "none verified"),
    svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `${title}, ${span.label.toLowerCase()}: ${words}` },
      drawn,
      svg("line", { class: "base", x1: 0, x2: WIDTH, y1: line, y2: line }),
    ),
    worst > 0 && h("span", { class: "worst" }, `${number(worst)} failed a ${span.each} at most`),
    h("span", { class: "from" }, span.tick(start)),
    h("span", { class: "to" }, "now"),
  );
}

function bar(x, y, width, height, look) {
  const at = { x: round(x), y: round(y), width: round(width), height: round(height) };
  const ground = svg("rect", { ...at, class: `look${look}` });
  return look === 0 ? ground : [ground, svg("rect", { ...at, fill: `url(#look${look})` })];
}

const round = (value) => Math.round(value * 100) / 100;

const failures = (byReason_) => Object.entries(byReason_).filter(([reason]) => reason !== "verified").sort(([a], [b]) => byReason(a, b));

const byReason = (a, b) => (LOOKS[a] ?? (a === "verified" ? 0 : 9)) - (LOOKS[b] ?? (b === "verified" ? 0 : 9)) || (a < b ? -1 : 1);

/** The look of each reason that occurs, the same in both charts. */
function looksOf(columns) {
  const all = new Set(columns.flatMap((column) => [...Object.keys(column.cloudflare), ...Object.keys(column.elsewhere)]));
  const others = [...all].filter((reason) => reason !== "verified" && !LOOKS[reason]).sort();
  return new Map([...all].map((reason) => {
    const spare = SPARE_LOOKS[others.indexOf(reason) % SPARE_LOOKS.length];
    return [reason, reason === "verified" ? 0 : (LOOKS[reason] ?? spare)];
  }));
}

function sum(maps) {
  const total = {};
  for (const map of maps) for (const [reason, value] of Object.entries(map)) total[reason] = (total[reason] ?? 0) + value;
  return total;
}

function columnWords(column, network, span) {
  const parts = Object.entries(column[network]).map(([reason, value]) => `${number(value)} ${reason}`);
  return `${span.tick(Date.parse(column.from))}: ${parts.join(", ") || "none"}`;
}

/** The same numbers for whoever does not look at pictures. */
function table(columns, span) {
  const cell = (counts) => Object.entries(counts).sort(([a], [b]) => byReason(a, b)).map(([reason, value]) => `${reason} ${number(value)}`).join(", ") || "–";
  return h(
    "details",
    { class: "as-table", "data-key": "table" },
    h("summary", {}, "The same as a table"),
    h(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": "Handshakes as a table" },
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, [span.each, "from Cloudflare", "from elsewhere"].map((title) => h("th", { scope: "col" }, title)))),
        h("tbody", {}, [...columns].reverse().map((column) =>
          h("tr", {}, h("th", { scope: "row" }, span.tick(Date.parse(column.from))), h("td", {}, cell(column.cloudflare)), h("td", {}, cell(column.elsewhere))),
        )),
      ),
    ),
  );
}
