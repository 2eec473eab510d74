// In the pane of the service: webhooks, the deliveries to them, and the script of events.

import { address, get, post, remove } from "./api.js";
import { $, attempt, button, fullTime, h, icon, plural, refill, toast } from "./dom.js";

const MAX_DELIVERIES = 5; // for each webhook
const POLL_MS = 2000; // while a delivery waits

let timer = null;

const words = (kind) => kind.replace("_", " ");
const none = (text) => h("p", { class: "faint" }, text);

export async function drawWebhooks() {
  clearTimeout(timer);
  const { webhooks } = await get("/webhooks");
  const posted = await Promise.all(webhooks.map((hook) => get(`/deliveries?limit=${MAX_DELIVERIES}&webhook_id=${encodeURIComponent(hook.webhook_id)}`)));
  const cards = webhooks.map((hook, index) => webhookCard(hook, posted[index]));
  refill($("webhooks"), webhooks.length ? h("ul", { class: "cards" }, cards) : none("None yet. settings/addWebhook adds one."));
  const waiting = posted.some(({ deliveries }) => deliveries.some((delivery) => delivery.state === "waiting"));
  if (waiting) timer = setTimeout(() => attempt(drawWebhooks), POLL_MS);
}

function webhookCard(hook, { deliveries, more }) {
  const summary = hook.total_event ? `${plural(hook.total_event, "event")} accepted, the last ${fullTime(hook.last_success)}` : "No event accepted yet";
  return h(
    "li",
    {},
    h("b", { class: "url" }, hook.url),
    h("small", {}, hook.events.map(words).join(", ")),
    hook.description && h("small", {}, hook.description),
    h("small", {}, summary),
    deliveries.length > 0 && h("ol", { class: "deliveries", "aria-label": `Posted to ${hook.url}` }, deliveries.map(deliveryRow)),
    more && h("small", {}, h("a", { href: address(`/deliveries?webhook_id=${encodeURIComponent(hook.webhook_id)}`), target: "_blank" }, "All deliveries")),
  );
}

function deliveryRow(delivery) {
  const last = delivery.attempts.at(-1);
  const kinds = [...new Set(delivery.events)].map(words).join(", ");
  const result = last ? (last.status ?? "no response") : "not posted yet";
  const tries = delivery.attempts.length > 1 ? `, ${plural(delivery.attempts.length, "attempt")}` : "";
  const replay = () =>
    attempt(async () => {
      const { attempts } = await post(`/deliveries/${delivery.number}/replay`);
      toast(`Response: ${attempts.at(-1).status ?? attempts.at(-1).answer}`);
      await drawWebhooks();
    });
  return h(
    "li",
    { class: delivery.state },
    h(
      "span",
      { title: last?.answer },
      h("b", {}, delivery.events.length > 1 ? `${kinds} × ${delivery.events.length}` : kinds),
      h("small", {}, `#${delivery.message}: ${result}, ${delivery.state}${tries}`),
    ),
    button("Replay", replay, { id: `replay-${delivery.number}`, class: "quiet", "aria-label": `Post ${kinds} of message ${delivery.message} again, byte for byte` }),
  );
}

export async function drawScript() {
  const { event_rules: rules } = await get("/event_rules");
  const input = h("input", { id: "rule", placeholder: "open 30% within 5s", "aria-label": "Rule: event, share, time limit", spellcheck: "false", autocomplete: "off" });
  const form = h(
    "form",
    {
      class: "switchon",
      submit: (event) => {
        event.preventDefault();
        attempt(() => post("/event_rules", { rule: input.value }).then(drawScript));
      },
    },
    input,
    h("button", { class: "plain", type: "submit" }, "Add"),
  );
  refill($("script"), rules.length ? h("ul", { class: "cards" }, rules.map(ruleCard)) : none("No rules yet."), form);
}

function ruleCard({ number, rule }) {
  const off = () => attempt(() => remove(`/event_rules/${number}`).then(drawScript));
  return h(
    "li",
    { class: "fault" },
    h("span", {}, h("b", {}, rule)),
    h("button", { type: "button", id: `remove-${number}`, class: "tool", "aria-label": `Remove ${rule}`, title: "Remove", click: off }, icon("off")),
  );
}
