// The page: connects the list, the message and the service.

import { $, announce, attempt, count } from "./dom.js";
import { showFile } from "./files.js";
import { nextWidth } from "./html.js";
import { bindKeys } from "./keys.js";
import { List } from "./list.js";
import { Live } from "./live.js";
import { MessageView } from "./message.js";
import { loadServer } from "./release.js";
import { Route } from "./route.js";
import { ServiceView } from "./service.js";

const SEARCH_DELAY_MS = 150; // after the last key
const SHOW_DELAY_MS = 60; // a message that the selection only passes is not loaded
const SERVICE_INTERVAL_MS = 1000; // the counts beside the list are loaded no more often

const twoPanes = matchMedia("(min-width: 800px)");
const threePanes = matchMedia("(min-width: 1100px)");
const view = new MessageView(() => back(), () => list.selection.delete());
const service = new ServiceView();
let settling = 0;
let serviceTimer = null;

const list = new List((number, enter) => {
  // A row that is only marked in a narrow window is not shown yet.
  if (enter || twoPanes.matches || document.body.dataset.pane === "message") route.note(number, { step: enter && !twoPanes.matches });
  clearTimeout(settling);
  if (enter || number === null) {
    show(number);
    if (!twoPanes.matches) goTo(number === null ? "messages" : "message");
    return;
  }
  settling = setTimeout(() => show(number), SHOW_DELAY_MS);
});

/** Show a message. One of the list that is deleted meanwhile is no error: the list will hear of it. */
const show = (number) =>
  attempt(() =>
    view.show(number).catch((error) => {
      if (error.status !== 404 || (number === list.selected && !list.row(number))) throw error;
    }),
  );

const route = new Route((place) => {
  if (place === "service") goTo("service");
  else {
    if (place === null || twoPanes.matches) goTo("messages");
    if (place !== null && (place !== list.selected || !twoPanes.matches)) list.select(place, { enter: true });
  }
});

function goTo(pane) {
  document.body.dataset.pane = pane;
  for (const each of document.querySelectorAll("[data-goto]")) {
    each.setAttribute("aria-pressed", String(each.dataset.goto === (pane === "service" ? "service" : "messages")));
  }
  if (pane === "message") $("message").focus({ preventScroll: true });
  if (pane === "service") attempt(() => service.load());
}

/** Show a pane because the user wants to. */
function open(pane) {
  if (pane === "service") {
    service.fold(false);
    if (!threePanes.matches) route.note("service", { step: true });
  } else if (route.place === "service" && route.back()) return;
  goTo(pane);
}

function back() {
  list.selection.clear();
  if (twoPanes.matches && route.place !== "service") goTo("messages");
  else if (!route.back()) goTo("messages");
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
    if (!(await view.refresh()) && list.selected === number) list.select(null);
  }
  settle();
}

const live = new Live(
  (changes) =>
    attempt(async () => {
      await list.update(changes);
      if (changes.changed.includes(view.mail?.number)) await view.refresh();
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

for (const each of document.querySelectorAll("[data-goto]")) each.addEventListener("click", () => open(each.dataset.goto));
for (const each of document.querySelectorAll("[data-close]")) each.addEventListener("click", () => each.closest("dialog").close());
$("theme").addEventListener("click", () => window.toggleTheme());
$("help").addEventListener("click", () => $("keys").showModal());
$("fold").addEventListener("click", () => service.fold());

bindKeys({
  move: (step, { extend = false } = {}) => {
    if (extend && !list.selection.numbers.size) list.selection.toggle(list.selected);
    list.move(step);
    if (extend) list.selection.extend(list.selected);
  },
  pick: () => list.selection.toggle(list.selected),
  pickAll: () => list.selection.all(),
  toggleRead: () => list.selection.toggleRead(),
  deleteAll: () => list.selection.askAll(),
  enter: () => {
    if (list.selected === null) list.move(1);
    if (!twoPanes.matches) route.note(list.selected, { step: true });
    goTo("message");
    $("message").focus();
  },
  list: back,
  delete: () => list.selection.delete(),
  search: () => {
    open("messages");
    $("search").select();
  },
  help: () => $("keys").showModal(),
  service: () => {
    open("service");
    $("service").focus();
  },
  fold: () => service.fold(),
  width: nextWidth,
  file: showFile,
  theme: () => window.toggleTheme(),
  tab: (index) => view.chooseNumber(index),
});

attempt(async () => {
  await loadServer();
  await list.load();
  settle();
  const { place } = route;
  if (place === "service") goTo("service");
  if (typeof place === "number") list.select(place, { enter: true });
  else if (twoPanes.matches && list.mails.length) list.select(list.mails[0].number);
  else view.empty();
  live.start();
  await service.load();
});
