// The page: connects the list, the message and the service.

import { remove } from "./api.js";
import { $, announce, attempt, count, plural } from "./dom.js";
import { bindKeys } from "./keys.js";
import { List } from "./list.js";
import { Live } from "./live.js";
import { MessageView } from "./message.js";
import { loadServer } from "./release.js";
import { ServiceView } from "./service.js";

const SEARCH_DELAY_MS = 150; // after the last key
const SHOW_DELAY_MS = 60; // a message that the selection only passes is not loaded
const SERVICE_INTERVAL_MS = 1000; // the counts beside the list are loaded no more often

const wide = matchMedia("(min-width: 800px)");
const view = new MessageView(() => back());
const service = new ServiceView();
let settling = 0;
let serviceTimer = null;

const list = new List((number, enter) => {
  location.replace(number === null ? "#" : `#${number}`);
  clearTimeout(settling);
  if (enter || number === null) {
    attempt(() => view.show(number));
    if (!wide.matches) goTo(number === null ? "messages" : "message");
    return;
  }
  settling = setTimeout(() => attempt(() => view.show(number)), SHOW_DELAY_MS);
});

function goTo(pane) {
  document.body.dataset.pane = pane;
  for (const each of document.querySelectorAll("[data-goto]")) {
    each.setAttribute("aria-pressed", String(each.dataset.goto === (pane === "service" ? "service" : "messages")));
  }
  if (pane === "message") $("message").focus({ preventScroll: true });
  if (pane === "service") attempt(() => service.load());
}

function back() {
  goTo("messages");
  $("list").focus();
}

/** Update everything that depends on the number of messages. */
function settle() {
  const before = document.body.dataset.total;
  document.body.dataset.total = String(list.total);
  document.title = list.total ? `(${count(list.total)}) PowerEmail sandbox` : "PowerEmail sandbox";
  if (!view.mail && before !== document.body.dataset.total) view.empty();
  serviceTimer ??= setTimeout(() => {
    serviceTimer = null;
    attempt(() => service.load());
  }, SERVICE_INTERVAL_MS);
}

async function reload(filter) {
  await list.load(filter);
  if (view.mail) {
    const { number } = view.mail;
    await view.refresh().catch((error) => {
      if (error.status !== 404) throw error;
      if (list.selected === number) list.select(null);
    });
  }
  settle();
}

const live = new Live(
  (changes) =>
    attempt(async () => {
      await list.update(changes);
      if (view.mail && changes.changed.includes(view.mail.number)) await view.refresh();
      settle();
    }),
  (cleared) =>
    attempt(() => {
      if (cleared) list.select(null);
      return reload();
    }),
);

function filter() {
  return { search: $("search").value.trim(), status: $("status").value };
}

async function find() {
  await reload(filter());
  announce($("count").textContent);
}

let typing = 0;
$("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => attempt(find), SEARCH_DELAY_MS);
});
$("status").addEventListener("change", () => attempt(find));
$("find").addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(typing);
  attempt(find).then(() => $("list").focus());
});

for (const each of document.querySelectorAll("[data-goto]")) each.addEventListener("click", () => goTo(each.dataset.goto));
for (const each of document.querySelectorAll("[data-close]")) each.addEventListener("click", () => each.closest("dialog").close());
$("theme").addEventListener("click", () => window.toggleTheme());
$("help").addEventListener("click", () => $("keys").showModal());
$("delete-all").addEventListener("click", () => {
  $("confirm-text").textContent = `This deletes ${plural(list.total, "message")} for good. SMTP users, templates and faults stay.`;
  $("confirm").showModal();
});
$("confirm-yes").addEventListener("click", () => {
  $("confirm").close();
  attempt(() => remove("/messages"));
});

bindKeys({
  move: (step) => list.move(step),
  enter: () => {
    if (list.selected === null) list.move(1);
    goTo("message");
    $("message").focus();
  },
  list: back,
  delete: () => view.delete(),
  search: () => {
    goTo("messages");
    $("search").select();
  },
  help: () => $("keys").showModal(),
  service: () => {
    goTo("service");
    $("service").focus();
  },
  theme: () => window.toggleTheme(),
  tab: (index) => view.chooseNumber(index),
});

attempt(async () => {
  await loadServer();
  await list.load();
  settle();
  const linked = Number(location.hash.slice(1));
  if (linked) list.select(linked, { enter: true });
  else if (wide.matches && list.mails.length) list.select(list.mails[0].number);
  else view.empty();
  live.start();
  await service.load();
});
