// The page: asks the admin API again and again, and shows what it says.

import { get, post, Problem, takeTokenFromAddress } from "./api.js";
import { ChangeDialog, problem, TokenDialog } from "./change.js";
import { h, renew } from "./dom.js";
import { lookedAt, zones } from "./cloudflare.js";
import { Feed } from "./feed.js";
import { count, countdown, daysLeft, learnTime, now, number, sentence, span, time, URGENT_DAYS } from "./format.js";
import { blank, columnHead, estate, matching, needsAttention, PAGE_ROWS, rows } from "./hosts.js";
import { allFailures, certificateTable, noCertificates, unknownNames } from "./lists.js";
import { hostPath } from "./api.js";

const POLL_MS = 2000;
/** A thousand hosts are much to send: they are asked for less often. */
const POLL_PER_HOST_MS = 5;
const LONGEST_POLL_MS = 15_000;
/** What a view that is not looked at says in the navigation may be this old. */
const ASIDE_MS = 30_000;
const VIEWS = ["hosts", "failures", "certificates", "handshakes"];

const state = {
  status: null,
  hosts: null,
  failures: null,
  certificates: null,
  cloudflare: null,
  details: new Map(),
  open: new Set(),
  spans: new Map(),
  filter: "",
  stage: null,
  shown: PAGE_ROWS,
  view: "hosts",
  trouble: null,
  /** Of the proxy that this page came from. */
  version: null,
  lastAnswer: null,
  askedAside: -ASIDE_MS,
};

const element = (id) => document.getElementById(id);
const change = new ChangeDialog(element("change"), { refresh, askForToken, focus: focusHost });
const token = new TokenDialog(element("token"), { refresh });
const feed = new Feed({
  rows: element("feed-rows"),
  table: element("feed-table"),
  blank: element("feed-blank"),
  note: element("feed-note"),
  state: element("feed-state"),
  pause: element("feed-pause"),
  filters: element("feed-filters"),
});

// --- Asking -----------------------------------------------------------------------------------------------------

let timer = null;
let asking = null;
let failuresInARow = 0;

/** Asks for everything that is shown, now. Resolves to the status or the trouble. */
function refresh() {
  clearTimeout(timer);
  const asked = (asking ?? Promise.resolve()).then(ask);
  // Whatever goes wrong once must not be the end of asking.
  asking = asked.catch(() => undefined);
  return asked;
}

async function ask() {
  clearTimeout(timer);
  let status = null;
  try {
    status = await get("status");
    learnTime(status.at);
    state.status = status;
    state.version ??= status.version;
    const aside = performance.now() - state.askedAside > ASIDE_MS;
    state.hosts = (await get("hosts")).hosts;
    if (aside || state.view === "failures") state.failures = (await get("failures")).failures;
    if (aside || state.view === "certificates") state.certificates = (await get("certificates")).certificates;
    if (aside) state.cloudflare = await get("cloudflare");
    if (aside) state.askedAside = performance.now();
    await askForDetails();
    state.trouble = null;
    state.lastAnswer = now();
    failuresInARow = 0;
  } catch (error) {
    state.trouble = error;
    failuresInARow += 1;
  }
  try {
    draw();
  } finally {
    askLater();
  }
  return { status, trouble: state.trouble };
}

async function askForDetails() {
  const configured = new Set(state.hosts.map((host) => host.name));
  for (const name of state.open) {
    if (!configured.has(name)) {
      state.open.delete(name);
      state.details.delete(name);
    } else if (state.view === "hosts") {
      await askForDetail(name);
    }
  }
}

async function askForDetail(name) {
  try {
    state.details.set(name, await get(hostPath(name)));
  } catch (error) {
    // What is there is better than nothing; the next round asks again.
    if (!(error instanceof Problem)) throw error;
    if (!state.details.has(name)) state.details.set(name, error);
  }
}

function waitMs() {
  if (state.trouble) return Math.min(POLL_MS * 2 ** Math.min(failuresInARow - 1, 3), LONGEST_POLL_MS);
  return Math.min(POLL_MS + (state.hosts?.length ?? 0) * POLL_PER_HOST_MS, LONGEST_POLL_MS);
}

function askLater() {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(refresh, waitMs());
}

// --- Showing ----------------------------------------------------------------------------------------------------

function draw() {
  document.body.classList.toggle("unknown", !state.hosts && Boolean(state.trouble));
  drawAlarm();
  drawTop();
  if (!state.hosts) return;
  drawHosts();
  if (state.failures) renew(element("failures"), allFailures(state.failures));
  renew(element("unknown-names"), unknownNames(state.status.unknown_names));
  if (state.certificates) renew(element("certificates"), state.certificates.length ? certificateTable(state.certificates) : noCertificates());
  drawProcess();
}

function drawHosts() {
  if (!state.hosts) return;
  const fitting = matching(state.hosts, state);
  const left = fitting.length - state.shown;
  const attention = state.hosts.filter((host) => needsAttention(host, state)).length;
  renew(element("estate"), estate(state.hosts, state));
  renew(element("zones"), zones(state.hosts, state.cloudflare));
  element("attention").setAttribute("aria-pressed", String(state.stage === "attention"));
  renew(element("attention"), `Needs a look: ${number(attention)}`);
  renew(element("host-count"), fitting.length === state.hosts.length ? count(fitting.length, "host") : `${number(fitting.length)} of ${count(state.hosts.length, "host")}`);
  renew(element("host-head"), columnHead(state.hosts));
  element("host-head").hidden = fitting.length === 0;
  renew(element("hosts"), rows(fitting, state));
  renew(element("host-rest"), fitting.length === 0 ? blank(state.hosts, state) : null, left > 0
    ? h("p", { class: "rest" }, h("button", { type: "button", "data-do": "more" }, `Show ${number(Math.min(left, PAGE_ROWS))} more`), ` ${number(left)} are not shown; the filter looks through all.`)
    : null);
  const names = element("host-names");
  if (names.childElementCount !== state.hosts.length) names.replaceChildren(...state.hosts.map((host) => h("option", { value: host.name })));
}

function drawAlarm() {
  const alarm = element("alarm");
  const { trouble, status, version } = state;
  const outdated = !trouble && status && status.version !== version;
  alarm.hidden = !trouble && !outdated;
  if (outdated) {
    return renew(alarm, h("p", {}, `The proxy is version ${status.version} now; this page is of ${version}.`), h("button", { type: "button", "data-do": "reload-page" }, "Load it anew"));
  }
  if (!trouble) return renew(alarm);
  const since = state.lastAnswer ? [" What is shown is from ", time(new Date(state.lastAnswer).toISOString(), "second"), "."] : "";
  return renew(
    alarm,
    trouble.isDenial
      ? h("p", {}, h("b", {}, "A token is needed to look at this. "), sentence(trouble.message))
      : h("p", {}, h("b", {}, trouble instanceof Problem ? "The proxy cannot answer. " : "The proxy is not reachable. "), sentence(trouble.message), since, " Asking again."),
    trouble.isDenial ? h("button", { type: "button", "data-do": "token", class: "primary" }, "Enter a token") : h("button", { type: "button", "data-do": "retry" }, "Ask now"),
  );
}

function drawTop() {
  const pulse = element("pulse");
  const words = state.trouble ? (state.trouble.isDenial ? "not allowed" : "not reachable") : state.status ? "connected" : "asking…";
  pulse.className = state.trouble ? "lost" : state.status ? "live" : "";
  if (pulse.textContent !== words) pulse.textContent = words;
  const rights = element("rights");
  const may = state.status?.may_change;
  rights.hidden = !state.status || may;
  for (const link of element("views").querySelectorAll("a")) {
    if (link.hash === `#/${state.view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const badge = (id, value, words_) => renew(element(id), value ? [h("span", { "aria-hidden": "true" }, number(value)), h("span", { class: "unseen" }, ` (${number(value)} ${words_})`)] : []);
  badge("failure-badge", state.failures?.filter(({ network }) => network === "cloudflare").length, "kinds from Cloudflare");
  badge("certificate-badge", state.certificates?.filter((one) => endsSoon(one)).length, "end soon");
}

function endsSoon(certificate) {
  const days = daysLeft(certificate.not_after);
  // What strangers show may end when it likes.
  return days !== null && days < URGENT_DAYS && certificate.seen?.network !== "elsewhere";
}

function drawProcess() {
  const { status } = state;
  const { networks } = status;
  const list = [
    ["Version", status.version],
    ["Running for", [span(now() - Date.parse(status.started_at)), ", since ", time(status.started_at)]],
    ["Listens on", status.listeners.join(", ")],
    ["Configuration", [h("span", { class: "machine" }, status.config), `, number ${number(status.generation)}`]],
    ["Cloudflare’s ranges", `${count(networks.ranges, "range")}, ${networks.source}${networks.dated ? `, of ${networks.dated}` : ""}`],
    ["Cloudflare’s side", lookedAt(state.cloudflare)],
    ["Evidence", status.evidence_file ? h("span", { class: "machine" }, status.evidence_file) : h("span", { class: "warn" }, "not kept in a file: a restart forgets it")],
  ];
  renew(element("process"), list.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function drawCountdowns() {
  for (const one of document.querySelectorAll("[data-until]")) one.textContent = countdown(one.dataset.until);
}

// --- Acting -----------------------------------------------------------------------------------------------------

function focusHost(name) {
  document.querySelector(`.name button[data-host="${CSS.escape(name)}"]`)?.focus();
}

function askForToken() {
  token.open();
}

const acts = {
  toggle({ host }) {
    if (state.open.delete(host)) state.details.delete(host);
    else {
      state.open.add(host);
      askForDetail(host).then(drawHosts, refresh);
    }
    drawHosts();
  },
  span({ host, span: chosen }) {
    state.spans.set(host, chosen);
    drawHosts();
  },
  stage({ stage }) {
    state.stage = state.stage === stage ? null : stage;
    state.shown = PAGE_ROWS;
    drawHosts();
  },
  more() {
    state.shown += PAGE_ROWS;
    drawHosts();
  },
  "clear-filter"() {
    state.stage = null;
    state.filter = element("host-filter").value = "";
    drawHosts();
  },
  enforce: ({ host }) => change.open(hostNamed(host), "enforce"),
  observe: ({ host }) => change.open(hostNamed(host), "observe"),
  confirm: ({ host }) => change.confirm(hostNamed(host)),
  token: askForToken,
  retry: refresh,
  "reload-page": () => location.reload(),
  reload,
};

const hostNamed = (name) => state.hosts.find((host) => host.name === name);

async function reload() {
  const said = element("reload-said");
  renew(said, h("p", { class: "quiet" }, "Reading the configuration…"));
  try {
    const { generation, warnings } = await post("reload");
    renew(said, h("p", { class: "good" }, `Configuration number ${number(generation)} is in force.`), warnings.length ? h("ul", {}, warnings.map((warning) => h("li", { class: "warn" }, sentence(warning)))) : null);
  } catch (error) {
    renew(said, problem(error));
  }
  return refresh();
}

document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-do]");
  if (!target) return;
  // The whole row opens on a click, but text in it can still be selected.
  if (target.nodeName !== "BUTTON" && (event.target.closest("a, button, summary, input") || !getSelection().isCollapsed)) return;
  acts[target.dataset.do]?.(target.dataset);
});

element("host-filter").addEventListener("input", (event) => {
  state.filter = event.target.value;
  state.shown = PAGE_ROWS;
  drawHosts();
});

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  element("main").focus();
});

function route({ focus }) {
  takeTokenFromAddress();
  const asked = location.hash.replace(/^#\//, "");
  state.view = VIEWS.includes(asked) ? asked : "hosts";
  for (const view of VIEWS) element(`view-${view}`).hidden = view !== state.view;
  const heading = element(`view-${state.view}`).querySelector("h2");
  document.title = `${heading.dataset.title} · originlock`;
  drawTop();
  if (focus) heading.focus();
  watch();
}

// Nobody looks: nothing is asked for.
function watch() {
  if (state.view === "handshakes" && !document.hidden) feed.start();
  else feed.stop();
  if (document.hidden) clearTimeout(timer);
  else refresh();
}

addEventListener("hashchange", () => route({ focus: true }));
document.addEventListener("visibilitychange", watch);
setInterval(drawCountdowns, 1000);
route({ focus: false });
