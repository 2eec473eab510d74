// The pane of the service: SMTP users, templates, faults and the clock.

import { get, post, remove } from "./api.js";
import { $, attempt, button, count, fullTime, h, icon, plural, refill, remember, remembered } from "./dom.js";
import { drawScript, drawWebhooks } from "./webhooks.js";

const LIMITS = { per_minute: "a minute", per_hour: "an hour", per_day: "a day", hourly_limit: "mails an hour", total_limit: "mails in all" };

const FAULTS = [
  ["503, mail not accepted", { kind: "status", code: 503, accepted: false }],
  ["503, mail accepted", { kind: "status", code: 503, accepted: true }],
  ["429, too many requests", { kind: "rate_limited" }],
  ["Reset before the mail is accepted", { kind: "reset_before_acceptance" }],
  ["Reset after the mail is accepted", { kind: "reset_after_acceptance" }],
  ["No response, mail accepted", { kind: "stall", seconds: 30 }],
  ["Two seconds late", { kind: "latency", seconds: 2 }],
  ["HTML with status 200", { kind: "html" }],
  ["Truncated JSON", { kind: "truncated" }],
  ["Visible a minute later", { kind: "late_visibility", seconds: 60 }],
];

const none = (text) => h("p", { class: "faint" }, text);

export class ServiceView {
  constructor() {
    this.fold(remembered("folded") === "1");
  }

  /** Load all parts; a part that fails leaves the others alone. */
  async load() {
    await Promise.all([this.users(), this.templates(), drawWebhooks(), drawScript(), this.faults(), this.clock()].map((part) => attempt(() => part)));
  }

  /** Fold the pane away where it stands beside the list, or show it again; *folded* says which, else it changes. */
  fold(folded = !("folded" in document.body.dataset)) {
    document.body.toggleAttribute("data-folded", folded);
    $("fold").setAttribute("aria-expanded", String(!folded));
    remember("folded", folded ? "1" : "");
  }

  async users() {
    const { smtp_users: users } = await get("/smtp_users");
    refill(
      $("users"),
      ...(users.length ? users.map(userCard) : [none("Any user may send. Users appear here after their first mail.")]),
    );
  }

  async templates() {
    const { templates } = await get("/templates");
    refill(
      $("templates"),
      templates.length
        ? h("ul", { class: "cards" }, templates.map((each) => h("li", {}, h("code", {}, each.template_id), h("small", {}, parts(each)))))
        : none("None yet."),
    );
  }

  async faults() {
    const { faults } = await get("/faults");
    const choice = h("select", { id: "fault", "aria-label": "Fault" }, FAULTS.map(([label], index) => h("option", { value: String(index) }, label)));
    const times = h("input", { id: "times", type: "number", min: "1", max: "999", placeholder: "always", "aria-label": "How often; empty is always" });
    const form = h(
      "form",
      {
        class: "switchon",
        submit: (event) => {
          event.preventDefault();
          const rule = { fault: FAULTS[choice.value][1] };
          if (times.value) rule.times = Number(times.value);
          form.reset();
          attempt(() => post("/faults", rule).then(() => this.faults()));
        },
      },
      choice,
      times,
      h("button", { class: "plain", type: "submit" }, "Switch on"),
    );
    refill($("faults"), faults.length ? h("ul", { class: "cards" }, faults.map((rule) => this.faultCard(rule))) : none("No faults."), form);
  }

  faultCard(rule) {
    const { kind, ...options } = rule.fault;
    const details = Object.entries({ ...options, call: rule.call, recipient: rule.recipient, nth: rule.nth, chance: rule.chance === 1 ? null : rule.chance })
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`);
    const off = () => attempt(() => remove(`/faults/${rule.number}`).then(() => this.faults()));
    return h(
      "li",
      { class: "fault" },
      h("span", {}, h("b", {}, kind.replaceAll("_", " ")), h("small", {}, [...details, `hit ${count(rule.hit)}${rule.times ? ` of ${count(rule.times)}` : ""} times`].join(", "))),
      h("button", { type: "button", id: `off-${rule.number}`, class: "tool", "aria-label": `Switch off ${kind}`, title: "Switch off", click: off }, icon("off")),
    );
  }

  async clock() {
    const { now, advanced } = await get("/clock");
    const advance = (seconds) => () => attempt(() => post("/clock", { advance: seconds }).then(() => Promise.all([this.clock(), this.users()])));
    refill(
      $("clock"),
      h("p", {}, h("time", {}, fullTime(now * 1000)), advanced ? h("small", {}, ` ${span(advanced)} ahead`) : null),
      h("div", { class: "buttons" }, button("+1 minute", advance(60)), button("+1 hour", advance(3600)), button("+1 day", advance(86400))),
    );
  }
}

function span(seconds) {
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const texts = [];
  let left = Math.round(seconds);
  for (const [length, unit] of units) {
    if (left >= length) texts.push(`${Math.floor(left / length)} ${unit}`);
    left %= length;
  }
  return texts.slice(0, 2).join(" ");
}

function parts(template) {
  const there = ["subject", "html", "text"].filter((name) => template[name] !== null);
  return there.join(", ") || "empty";
}

function userCard(user) {
  const used = Object.entries(LIMITS).filter(([name]) => user.limits[name] !== null);
  const bars = used.map(([name, words]) => {
    const [now, most] = [user.used[name], user.limits[name]];
    const label = `${count(now)} of ${count(most)} ${words}`;
    return h(
      "div",
      { class: now >= most ? "bar full" : "bar" },
      h("span", {}, label),
      h("progress", { value: String(Math.min(now, most)), max: String(most), "aria-label": `${user.name}: ${label}` }),
    );
  });
  const total = `${plural(user.used.per_minute, "request")} this minute, ${count(user.used.per_day)} today`;
  return h(
    "div",
    { class: "user" },
    h("p", {}, h("b", {}, user.name), user.enabled ? null : h("span", { class: "chip hard_bounce" }, "Disabled")),
    bars.length ? bars : h("small", {}, `${total}; no limits`),
  );
}
