// The admin API as the page uses it: answers, problems, and the stream of handshakes.

const TOKEN = "originlock-token";
/** A stream's line longer than this is none of ours. */
const MAX_BUFFER = 1 << 20;
const ANSWER_MS = 15_000;
/** The proxy says every 15 seconds that it is there: a stream that is silent for longer is dead. */
const SILENCE_MS = 45_000;

/** An answer that says what went wrong (RFC 9457). */
export class Problem extends Error {
  constructor(report, status) {
    super(report.detail || report.title || `The answer was ${status}`);
    this.report = report;
    /** Whether another proof of who asks could help. */
    this.isDenial = status === 401 || status === 403;
  }
}

/** Nobody answered, or what answered was not this API. */
export class Unreachable extends Error {}

// A token in the address would stay in the history and in bookmarks: it is taken and removed at once.
export function takeTokenFromAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token === null) return;
  rememberToken(token);
  history.replaceState(null, "", location.pathname + location.search);
}

export function rememberToken(token) {
  if (token) sessionStorage.setItem(TOKEN, token);
  else sessionStorage.removeItem(TOKEN);
}

export const knownToken = () => sessionStorage.getItem(TOKEN);

function headers(more) {
  const token = knownToken();
  return token ? { ...more, Authorization: `Bearer ${token}` } : { ...more };
}

export const hostPath = (name, rest = "") => `hosts/${encodeURIComponent(name)}${rest}`;

export const get = (path) => request(path, { method: "GET" });

export const post = (path, body = {}) =>
  // A change is made, tried and proved before it is answered: no deadline of ours.
  request(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }, null);

async function request(path, options, deadline = AbortSignal.timeout(ANSWER_MS)) {
  let answer, body;
  try {
    answer = await fetch(`/api/v1/${path}`, { ...options, headers: headers(options.headers), signal: deadline });
    body = await answer.text();
  } catch (error) {
    throw new Unreachable(error.name === "TimeoutError" ? "It took longer than 15 seconds." : "Nothing answers at this address.");
  }
  return read(answer, body);
}

function read(answer, body) {
  let json = null;
  try {
    json = JSON.parse(body);
  } catch {
    // Not ours, or plain text: said below.
  }
  if (answer.ok && json !== null) return json;
  if (json !== null && typeof json === "object") throw new Problem(json, answer.status);
  const said = body.trim().slice(0, 300);
  if (answer.status >= 400) throw new Problem({ title: said || answer.statusText, detail: said }, answer.status);
  throw new Unreachable("What answers at this address does not speak this API.");
}

/**
 * Reads the stream of handshakes until it ends or `signal` stops it. `EventSource` could not send a token.
 * `on.open()` once it stands; `on.event(name, data, id)` for each event.
 */
export async function stream(after, on, signal) {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  const either = AbortSignal.any([signal, silence.signal]);
  const more = { Accept: "text/event-stream", "Last-Event-ID": String(after) };
  const answer = await fetch("/api/v1/handshakes/stream", { headers: headers(more), signal: either });
  if (!answer.ok) return read(answer, await answer.text());
  on.open();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  let event = { name: "message", data: [], id: null };
  for (;;) {
    const { done, value } = await reader.read();
    clearTimeout(timer);
    if (done) return undefined;
    timer = setTimeout(() => silence.abort(), SILENCE_MS);
    buffer += value;
    const lines = buffer.split(/\r\n|\n|\r(?!$)/);
    buffer = lines.pop();
    if (buffer.length > MAX_BUFFER) throw new Unreachable("The stream is not one of handshakes.");
    for (const line of lines) event = readLine(line, event, on);
  }
}

function readLine(line, event, on) {
  if (line === "") {
    if (event.data.length) on.event(event.name, event.data.join("\n"), event.id);
    return { name: "message", data: [], id: null };
  }
  const colon = line.indexOf(":");
  const field = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
  if (field === "event") event.name = value;
  else if (field === "data") event.data.push(value);
  else if (field === "id") event.id = value;
  return event;
}
