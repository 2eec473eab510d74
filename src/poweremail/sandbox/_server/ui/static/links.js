// The tab of the links of a message, where they lead, and clicks that are recorded as if a recipient had made them.

import { post } from "./api.js";
import { announce, attempt, button, copy, count, h, plural, toast } from "./dom.js";
import { isWeb, linkTo } from "./text.js";

export function linksTab(mail) {
  const results = new Map(mail.links.map((link) => [link, h("small", { class: "result" })]));
  const check = async () => {
    for (const [link, result] of results) result.textContent = isWeb(link) ? "checking…" : "";
    const { links } = await post(`/messages/${mail.number}/links/check`).catch((error) => {
      for (const result of results.values()) result.textContent = "";
      throw error;
    });
    for (const { link, ok, result } of links) {
      const shown = results.get(link);
      if (!shown) continue;
      shown.textContent = result;
      shown.classList.toggle("bad", ok === false);
      shown.classList.toggle("good", ok === true);
    }
    announce(`${plural(links.length, "link")} checked, ${count(links.filter(({ ok }) => ok === false).length)} broken`);
  };
  return h(
    "div",
    {},
    mail.links.some(isWeb) &&
      h(
        "p",
        { class: "above" },
        h("span", {}, "A check sends a request to each web link whose host the sandbox was started with."),
        button("Check the links", () => attempt(check), { id: "check-links", title: "Check the links (c)" }),
      ),
    h(
      "ul",
      { class: "plainlist" },
      mail.links.map((link) => h("li", {}, h("span", { class: "linkline" }, linkTo(link), results.get(link)), buttonsOf(mail, link))),
    ),
  );
}

function buttonsOf(mail, link) {
  const click = () => attempt(() => post(`/messages/${mail.number}/events`, { kind: "click", url: link }).then(() => toast("Click recorded")));
  return h(
    "span",
    { class: "buttons" },
    button("Copy", () => copy(link), { class: "quiet", "aria-label": `Copy ${link}` }),
    isWeb(link) && button("Record a click", click, { "aria-label": `Record a click on ${link}` }),
  );
}
