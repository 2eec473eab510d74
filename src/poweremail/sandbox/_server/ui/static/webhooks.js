// Beside the messages: webhooks, what was posted to them, and the script that makes it happen.

import { get, post, remove } from "./api.js";
import { $, attempt, button, fullTime, h, icon, plural, toast } from "./dom.js";

const SHOWN = 5; // deliveries of each webhook
const AGAIN = 2000; // milliseconds until one looks again at what is still to be posted

let timer = null;

const words = (kind) => kind.replace("_", " ");
const none = (text) => h("p", { class: "faint" }, text);

export async function drawWebhooks() {
  clearTimeout(timer);
  const { webhooks } = await get("/webhooks");
  const posted = await Promise.all(webhooks.map((hook) => get(`/deliveries?limit=${SHOWN}&webhook_id=${encodeURIComponent(hook.webhook_id)}`)));
  const cards = webhooks.map((hook, index) => webhookCard(hook, posted[index]));
  const focused = document.activeElement?.id;
  $("webhooks").replaceChildren(webhooks.length ? h("ul", { class: "cards" }, cards) : none("None yet. They come by settings/addWebhook."));
  if (focused?.startsWith("replay-")) $(focused)?.focus();
  const waiting = posted.some(({ deliveries }) => deliveries.some((delivery) => delivery.state === "waiting"));
  if (waiting) timer = setTimeout(() => attempt(drawWebhooks), AGAIN);
}

function webhookCard(hook, { deliveries, more }) {
  const told = hook.total_event ? `${plural(hook.total_event, "event")} taken, the last ${fullTime(hook.last_success)}` : "Nothing taken yet";
  return h(
    "li",
    {},
    h("b", { class: "url" }, hook.url),
    h("small", {}, hook.events.map(words).join(", ")),
    hook.description && h("small", {}, hook.description),
    h("small", {}, told),
    deliveries.length > 0 && h("ol", { class: "deliveries", "aria-label": `Posted to ${hook.url}` }, deliveries.map(deliveryRow)),
    more && h("small", {}, h("a", { href: `/_sandbox/deliveries?webhook_id=${encodeURIComponent(hook.webhook_id)}`, target: "_blank" }, "All deliveries")),
  );
}

function deliveryRow(delivery) {
  const last = delivery.attempts.at(-1);
  const kinds = [...new Set(delivery.events)].map(words).join(", ");
  const answered = last ? (last.status ?? "no answer") : "not posted yet";
  const tries = delivery.attempts.length > 1 ? `, ${plural(delivery.attempts.length, "attempt")}` : "";
  const replay = () =>
    attempt(async () => {
      const { attempts } = await post(`/deliveries/${delivery.number}/replay`);
      toast(`Answered: ${attempts.at(-1).status ?? attempts.at(-1).answer}`);
      await drawWebhooks();
    });
  return h(
    "li",
    { class: delivery.state },
    h(
      "span",
      { title: last?.answer },
      h("b", {}, delivery.events.length > 1 ? `${kinds} × ${delivery.events.length}` : kinds),
      h("small", {}, `#${delivery.message}: ${answered}, ${delivery.state}${tries}`),
    ),
    button("Replay", replay, { id: `replay-${delivery.number}`, class: "quiet", "aria-label": `Post ${kinds} of message ${delivery.message} again, byte for byte` }),
  );
}

export async function drawScript() {
  const { event_rules: rules } = await get("/event_rules");
  const input = h("input", { id: "rule", placeholder: "open 30% within 5s", "aria-label": "Rule: event, share, within what time", spellcheck: "false", autocomplete: "off" });
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
  const typed = $("rule");
  if (typed) input.value = typed.value;
  const typing = typed && document.activeElement === typed;
  $("script").replaceChildren(rules.length ? h("ul", { class: "cards" }, rules.map(ruleCard)) : none("Nothing happens by itself."), form);
  if (typing) input.focus();
}

function ruleCard({ number, rule }) {
  const off = () => attempt(() => remove(`/event_rules/${number}`).then(drawScript));
  return h(
    "li",
    { class: "fault" },
    h("span", {}, h("b", {}, rule)),
    h("button", { type: "button", class: "tool", "aria-label": `Remove ${rule}`, title: "Remove", click: off }, icon("off")),
  );
}
