// Numbers and times as people read them: local, with UTC in the title.

import { h } from "./dom.js";

const DAY_MS = 86_400_000;
/** From here on an expiry is shown as near. */
export const NEAR_DAYS = 30;
/** From here on it is shown as urgent: the gate's own default. */
export const URGENT_DAYS = 14;

const numbers = new Intl.NumberFormat();
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const minute = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const dayOfWeek = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });

/** How far the proxy's clock is ahead of this machine's, in milliseconds. The proxy's is the one that counts. */
let ahead = 0;

export function learnTime(at) {
  const moment = Date.parse(at);
  if (Number.isFinite(moment)) ahead = moment - Date.now();
}

/** The proxy's time, in milliseconds since the Unix epoch. */
export const now = () => Date.now() + ahead;

export const number = (value) => numbers.format(value);

export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

/** What the proxy says in the middle of a line, as a line of its own. Names keep their case. */
export function sentence(text) {
  const said = String(text ?? "").trim();
  const [word] = said.split(/[\s,;:]/, 1);
  const begun = /^[a-z]+$/.test(word) ? said[0].toUpperCase() + said.slice(1) : said;
  return /[.!?:…)\]}"]$/.test(begun) || begun === "" ? begun : `${begun}.`;
}

/** A moment as an element: the time of day when it is today, else with its day. */
export function time(text, style = "short") {
  const moment = Date.parse(text);
  if (!Number.isFinite(moment)) return h("span", {}, text === "never" ? "never" : "–");
  const then = new Date(moment);
  const today = new Date(now()).toDateString() === then.toDateString();
  const shown = {
    second: () => (today ? clock.format(then) : `${day.format(then)}, ${clock.format(then)}`),
    short: () => (today ? minute.format(then) : `${day.format(then)}, ${minute.format(then)}`),
    date: () => date.format(then),
  }[style]();
  return h("time", { datetime: text, title: utc(moment) }, shown);
}

export const utc = (moment) => `${new Date(moment).toISOString().slice(0, 19).replace("T", " ")} UTC`;

export const clockTime = (moment) => minute.format(new Date(moment));

export const dayTime = (moment) => `${day.format(new Date(moment))}, ${minute.format(new Date(moment))}`;

export const weekday = (moment) => dayOfWeek.format(new Date(moment));

/** "3 d 4 h", "12 min", "8 s" */
export function span(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days) return hours && days < 10 ? `${days} d ${hours} h` : `${days} d`;
  if (hours) return minutes && hours < 10 ? `${hours} h ${minutes} min` : `${hours} h`;
  return minutes ? `${minutes} min` : `${seconds} s`;
}

/** "9:12", for a countdown. */
export function countdown(text) {
  const seconds = Math.max(0, Math.ceil((Date.parse(text) - now()) / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** Whole days until then, negative once it is past. `null`: it never ends, or is not known. */
export function daysLeft(text) {
  const moment = Date.parse(text);
  return Number.isFinite(moment) ? Math.floor((moment - now()) / DAY_MS) : null;
}

/** How long something still holds, in words and a class. */
export function expiry(text) {
  const days = daysLeft(text);
  if (days === null) return { tone: "calm", words: text === "never" ? "never ends" : "–" };
  if (days < 0) return { tone: "bad", words: `ended ${days === -1 ? "within the last day" : `${-days} days ago`}` };
  if (days === 0) return { tone: "bad", words: "ends within a day" };
  const tone = days < URGENT_DAYS ? "bad" : days < NEAR_DAYS ? "warn" : "calm";
  return { tone, words: days < 2 * 365 ? count(days, "day") : count(Math.floor(days / 365.25), "year") };
}
