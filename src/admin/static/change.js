// Changing something: the dialogs that say what will happen before it does, and what happened after.

import { hostPath, knownToken, post, Problem, rememberToken } from "./api.js";
import { h } from "./dom.js";
import { count, countdown, sentence } from "./format.js";
import { shortfall } from "./host.js";

const TRIAL_SECONDS = 600;
/** By what a check came to; null: nothing happened that would show it. */
const MARKS = {
  true: { mark: "✓ ", class: "good" },
  false: { mark: "✗ ", class: "bad" },
  null: { mark: "· ", class: "quiet" },
};

/** The dialog for a change of mode. `page.refresh()` has everything asked for anew. */
export class ChangeDialog {
  constructor(dialog, page) {
    this.dialog = dialog;
    this.page = page;
    /** Counts what was begun: an answer to something earlier is not shown. */
    this.turn = 0;
    dialog.addEventListener("click", (event) => this.clicked(event));
    dialog.addEventListener("change", () => this.weigh());
    // The button that opened it may be gone: the host is moved along.
    dialog.addEventListener("close", () => {
      if (document.activeElement === document.body) page.focus(this.host.name);
    });
  }

  /** Asks the proxy what would change, and shows it. */
  async open(host, mode) {
    this.begin(host, mode, "Asking what would change…", [this.button("close", "Cancel")]);
    await this.follow(post(hostPath(host.name, "/mode"), { mode, dry_run: true, force: true }), (plan) => this.review(plan));
  }

  begin(host, mode, words, buttons = []) {
    this.host = host;
    this.mode = mode;
    this.turn += 1;
    this.show(h("p", { class: "quiet", role: "status" }, words), buttons);
    if (!this.dialog.open) this.dialog.showModal();
  }

  /** Shows what comes of `answer`, unless something else was begun meanwhile. */
  async follow(answer, show) {
    const { turn } = this;
    const current = (then) => (value) => (turn === this.turn ? then(value) : undefined);
    await answer.then(current(show), current((error) => this.fail(error)));
  }

  review(plan) {
    const enforcing = plan.to === "enforce";
    const { ready, shortfalls, notices } = plan.readiness;
    const risky = enforcing && !ready;
    this.show(
      [
        h("p", { class: "said" }, MEANING[plan.to]),
        plan.names.length > 1 && h("section", {}, h("h3", {}, "These names change together"), h("ul", { class: "names" }, plan.names.map((name) => h("li", { class: "machine" }, name)))),
        risky && h("section", { class: "trouble" }, h("h3", {}, `It is not ready: ${count(shortfalls.length, "thing is", "things are")} missing`), h("ul", {}, shortfalls.map(shortfall))),
        enforcing && notices.length > 0 && h("section", {}, h("h3", {}, "Before you enforce"), h("ul", { class: "notices" }, notices.map((notice) => h("li", {}, sentence(notice))))),
        change(plan),
        enforcing && h(
          "label",
          { class: "choice" },
          h("input", { type: "checkbox", name: "trial", "aria-describedby": "trial-warning" }),
          h("span", {}, "Only on trial: back to observe after 10 minutes unless someone confirms",
            h("small", { id: "trial-warning" }, "This fails open. If nobody confirms, or Cloudflare’s traffic starts to fail, everyone is let in again.")),
        ),
        risky && h("label", { class: "choice risk" }, h("input", { type: "checkbox", name: "anyway" }), h("span", {}, "Enforce although it is not ready. Clients that do not verify are refused at once; the log will say that it was forced.")),
      ],
      [this.button("close", "Cancel"), this.button("apply", LABELS[plan.to](risky), risky ? "risky" : "primary")],
    );
    this.weigh();
  }

  /** The risky button works once the risk is taken. */
  weigh() {
    const anyway = this.dialog.querySelector("input[name=anyway]");
    const apply = this.dialog.querySelector("[data-act=apply]");
    if (apply) apply.disabled = Boolean(anyway && !anyway.checked);
  }

  async apply() {
    const trial = this.dialog.querySelector("input[name=trial]")?.checked;
    const force = Boolean(this.dialog.querySelector("input[name=anyway]")?.checked);
    const request = { mode: this.mode, force, ...(trial ? { confirm_within_seconds: TRIAL_SECONDS } : {}) };
    this.begin(this.host, this.mode, "Writing, loading, and connecting to itself to see…");
    await this.follow(post(hostPath(this.host.name, "/mode"), request), (report) => this.done(report));
    this.page.refresh();
  }

  done(report) {
    const passed = report.checks.every((check) => check.passed !== false);
    this.show(
      [
        h("p", { class: `said ${passed ? "good" : "bad"}`, role: "status" }, passed ? DONE[report.to] : "It is loaded, but it does not behave as it should:"),
        report.confirm_by && h("p", { class: "warn" }, "Falls back to observe in ", h("b", { "data-until": report.confirm_by }, countdown(report.confirm_by)), " unless someone confirms."),
        report.checks.length > 0 && h(
          "section",
          {},
          h("h3", {}, "The proxy connected to itself"),
          h("ul", { class: "checks" }, report.checks.map((check) =>
            h("li", { class: MARKS[check.passed].class },
              h("b", {}, MARKS[check.passed].mark), h("span", {}, check.what, ": "), check.got,
              check.passed === false && h("span", {}, `; expected: ${check.expected}`)))),
        ),
      ],
      [report.confirm_by && this.button("confirm", "Confirm now"), this.button("close", "Close", "primary")],
    );
  }

  fail(error) {
    this.show(problem(error), [
      error instanceof Problem && error.isDenial && this.button("token", "Enter a token", "primary"),
      this.button("close", "Close"),
    ]);
  }

  /** Has a trial stay. */
  async confirm(host) {
    this.begin(host, "enforce", "Confirming…");
    const confirmed = () => this.show(h("p", { class: "said good", role: "status" }, "Confirmed. It stays enforced."), [this.button("close", "Close", "primary")]);
    await this.follow(post(hostPath(host.name, "/confirm")), confirmed);
    this.page.refresh();
  }

  clicked(event) {
    switch (event.target.closest("button")?.dataset.act) {
      case "close":
        return this.dialog.close();
      case "apply":
        return this.apply();
      case "confirm":
        return this.confirm(this.host);
      case "token":
        this.dialog.close();
        return this.page.askForToken();
      default:
        return undefined;
    }
  }

  button(act, label, kind) {
    return h("button", { type: "button", class: kind, "data-act": act }, label);
  }

  show(content, buttons) {
    const title = `${TITLES[this.mode]} ${this.host.name}`;
    const heading = h("h2", { id: "change-title", tabindex: -1 }, title);
    const body = h("div", { class: "body" });
    body.append(...[content].flat(3).filter(Boolean));
    const row = h("div", { class: "buttons" });
    row.append(...buttons.filter(Boolean));
    this.dialog.replaceChildren(heading, body, row);
    if (this.dialog.open) heading.focus();
  }
}

const TITLES = { enforce: "Enforce", observe: "Observe" };
const MEANING = {
  enforce: "From now on, whoever shows no certificate that verifies is refused.",
  observe: "Everyone is let in. Each handshake is judged and recorded as before.",
};
const DONE = { enforce: "It is enforced.", observe: "It observes: everyone is let in, and each handshake is judged." };
const LABELS = { enforce: (risky) => (risky ? "Enforce anyway" : "Enforce"), observe: () => "Observe" };

function change(plan) {
  return h(
    "section",
    {},
    h("h3", {}, "What is written ", h("span", { class: "machine quiet" }, `${plan.source.file}:${plan.source.line}`)),
    diff(plan.diff),
  );
}

/** A unified diff; its signs stay in front of the lines, colour is only added. */
export function diff(text) {
  const kind = (line) => (/^(---|\+\+\+)/.test(line) ? "file" : { "+": "added", "-": "removed", "@": "place" }[line[0]]);
  const lines = text.replace(/\n$/, "").split("\n");
  return h("pre", { class: "diff", tabindex: 0, role: "region", "aria-label": "The change as a diff" }, lines.map((line) => h("span", { class: kind(line) }, `${line}\n`)));
}

/** What went wrong, and what to do next. */
export function problem(error) {
  const report = error.report ?? {};
  return [
    h("p", { class: "said bad", role: "alert" }, sentence(report.title || "That did not work")),
    h("p", { class: "detail" }, sentence(report.detail || error.message)),
    report.readiness?.shortfalls?.length > 0 && h("ul", {}, report.readiness.shortfalls.map(shortfall)),
    report.next_step && h("p", { class: "next-step" }, h("b", {}, "Next: "), sentence(report.next_step)),
    report.source && report.diff && h("p", { class: "machine quiet" }, `${report.source.file}:${report.source.line}`),
    report.diff && diff(report.diff),
  ].filter(Boolean);
}

/** The dialog that takes a token. It stays in this tab. */
export class TokenDialog {
  constructor(dialog, page) {
    this.dialog = dialog;
    this.page = page;
    this.form = dialog.querySelector("form");
    this.said = dialog.querySelector(".said");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.take(this.form.elements.token.value.trim());
    });
    dialog.querySelector("[data-act=close]").addEventListener("click", () => dialog.close());
    dialog.querySelector("[data-act=forget]").addEventListener("click", () => this.take(""));
  }

  open() {
    this.said.textContent = "";
    this.form.elements.token.value = "";
    this.dialog.querySelector("[data-act=forget]").hidden = knownToken() === null;
    this.dialog.showModal();
  }

  async take(token) {
    const before = knownToken();
    rememberToken(token);
    const { status, trouble } = await this.page.refresh();
    this.form.elements.token.value = "";
    if (!token || status?.may_change) return this.dialog.close();
    if (!trouble) {
      this.said.textContent = "With this token you may look, but not change anything.";
      return undefined;
    }
    this.said.textContent = sentence(trouble.message);
    // One that is not taken would only stand in the way.
    rememberToken(before);
    return this.page.refresh();
  }
}
