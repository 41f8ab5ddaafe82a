// Evidence over time: what verified stands above the line, what failed hangs below it, by reason.

import { h, svg } from "./dom.js";
import { clockTime, count, dayTime, now, number, weekday } from "./format.js";

const [WIDTH, HEIGHT] = [600, 104];
/** The least that anything is drawn with; one failure among thousands must be seen. */
const [LEAST_ABOVE, LEAST_BELOW] = [2, 6];
const SPANS = {
  hour: { label: "Last hour", seconds: 3600, slots: 60, each: "minute", rate: "a minute", moment: clockTime, mark: clockTime, nextMark: nextQuarter },
  week: { label: "Last 7 days", seconds: 7 * 86_400, slots: 168, each: "hour", rate: "an hour", moment: dayTime, mark: weekday, nextMark: nextMidnight },
};
/** Room at both ends of the axis, as a share of it, where no label fits. */
const EDGE = 0.05;
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
  const room = HEIGHT - (most ? LEAST_ABOVE : 0) - (worst ? LEAST_BELOW : 0) - 2;
  const unit = room / Math.max(1, most + worst);
  const line = 1 + (most ? most * unit + LEAST_ABOVE : 0);
  const marks = marksOf(span, start, end);
  const slot = WIDTH / span.slots;
  const width = Math.max(1.5, slot - (slot > 6 ? 2 : 0.8));
  const drawn = columns.map((column) => {
    const x = ((Date.parse(column.from) - start) / (span.seconds * 1000)) * WIDTH;
    if (!(x > -slot && x < WIDTH)) return null;
    const above = up(column) ? Math.max(LEAST_ABOVE, up(column) * unit) : 0;
    let y = line + 1;
    const below = failures(column[network]).map(([reason, value]) => {
      const height = Math.max(LEAST_BELOW, value * unit);
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
    h("span", { class: "most" }, most ? `at most ${number(most)} verified ${span.rate}` : "none verified"),
    svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `${title}, ${span.label.toLowerCase()}: ${words}` },
      marks.map(({ share }) => svg("line", { class: "mark-line", x1: share * WIDTH, x2: share * WIDTH, y1: 0, y2: HEIGHT })),
      drawn,
      svg("line", { class: "base", x1: 0, x2: WIDTH, y1: line, y2: line }),
    ),
    axis(span, marks),
    worst > 0 && h("span", { class: "worst" }, `at most ${number(worst)} failed ${span.rate}`),
  );
}

// Without a view box its text keeps its shape at any width.
function axis(span, marks) {
  const labels = marks.filter(({ share }) => share > EDGE && share < 1 - EDGE * 1.6);
  return svg(
    "svg",
    { class: "axis", height: 15, "aria-hidden": "true" },
    labels.map(({ share, at }) => svg("text", { x: `${round(share * 100)}%`, y: 11, "text-anchor": "middle" }, span.mark(at))),
    svg("text", { x: "100%", y: 11, "text-anchor": "end" }, "now"),
  );
}

/** Round moments of the reader's clock between two moments, and where they lie. */
function marksOf(span, start, end) {
  const marks = [];
  for (let at = span.nextMark(start); at < end; at = span.nextMark(at)) marks.push({ at, share: (at - start) / (end - start) });
  return marks;
}

function nextQuarter(after) {
  const then = new Date(after);
  then.setMinutes(Math.floor(then.getMinutes() / 15) * 15 + 15, 0, 0);
  return then.getTime();
}

function nextMidnight(after) {
  return new Date(after).setHours(24, 0, 0, 0);
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
  return `${span.moment(Date.parse(column.from))}: ${parts.join(", ") || "none"}`;
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
          h("tr", {}, h("th", { scope: "row" }, span.moment(Date.parse(column.from))), h("td", {}, cell(column.cloudflare)), h("td", {}, cell(column.elsewhere))),
        )),
      ),
    ),
  );
}
