// The walk of one hostname, drawn: off → observe → gate → enforce. Where it stands is a place, not only a colour.

import { svg } from "./dom.js";

const STATIONS = { off: 18, observe: 90, enforce: 182 };
const GATE = 136;
const RAIL = 17;

/** The drawing; its label says the same in words. */
export function walk(host) {
  const here = STATIONS[host.mode] ?? STATIONS.off;
  const missing = host.readiness.shortfalls.length;
  return svg(
    "svg",
    { class: "walk", viewBox: "0 0 200 34", width: 200, height: 34, role: "img", "aria-label": inWords(host) },
    svg("line", { class: "rail ahead", x1: here, x2: STATIONS.enforce, y1: RAIL, y2: RAIL }),
    svg("line", { class: "rail done", x1: STATIONS.off, x2: here, y1: RAIL, y2: RAIL }),
    Object.entries(STATIONS).map(([mode, x]) => station(mode, x, host, here)),
    host.mode !== "enforce" && gate(host.mode === "observe" && host.readiness.ready, host.mode === "observe" ? missing : 0),
  );
}

function station(mode, x, host, here) {
  if (x < here) return svg("circle", { class: "station past", cx: x, cy: RAIL, r: 3 });
  if (x > here) return svg("circle", { class: "station ahead", cx: x, cy: RAIL, r: 4 });
  const pending = host.mode === "enforce" && host.confirm_by;
  return svg(
    "g",
    { class: `station here ${mode}` },
    svg("circle", { class: pending ? "halo pending" : "halo", cx: x, cy: RAIL, r: 11 }),
    svg("circle", { class: "core", cx: x, cy: RAIL, r: 6 }),
    mode === "enforce" && svg("path", { class: "tick", d: `M${x - 3} ${RAIL} l2.2 2.4 l3.8 -4.6` }),
  );
}

// A barrier across the rail; lifted when the evidence suffices.
function gate(open, missing) {
  return svg(
    "g",
    { class: open ? "gate open" : "gate shut" },
    open
      ? svg("path", { d: `M${GATE - 3} ${RAIL - 4} l-7 -9 M${GATE - 3} ${RAIL + 4} l-7 9` })
      : svg("path", { d: `M${GATE} ${RAIL - 9} v18` }),
    missing > 0 && svg("text", { x: GATE + 6, y: RAIL - 5 }, missing > 9 ? "9+" : missing),
  );
}

/** The same in words. */
export function inWords(host) {
  const missing = host.readiness.shortfalls.length;
  switch (host.mode) {
    case "enforce":
      return host.confirm_by ? "at enforce, waiting to be confirmed" : "at enforce, the end of the walk";
    case "observe":
      return host.readiness.ready
        ? "at observe; the gate to enforce is open"
        : `at observe; the gate to enforce is shut, ${missing} ${missing === 1 ? "thing is" : "things are"} missing`;
    default:
      return "at off, the start of the walk";
  }
}
