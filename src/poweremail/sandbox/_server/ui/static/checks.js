// The tab of the checks of a message.

import { get } from "./api.js";
import { attempt, h } from "./dom.js";

export function checksTab(mail) {
  const list = h("div", {}, h("p", { class: "faint" }, "Checking…"));
  attempt(async () => {
    const { findings } = await get(`/messages/${mail.number}/checks`);
    list.replaceChildren(
      findings.length
        ? h("ul", { class: "plainlist findings" }, findings.map(({ text, advice }) => h("li", {}, h("span", {}, h("b", {}, text), h("small", {}, advice)))))
        : h("p", { class: "nothing" }, "Nothing to object to."),
    );
  });
  return h(
    "div",
    {},
    list,
    h("p", { class: "fine" }, "Checked: a text part, alternative texts of images, the 102 KB that Gmail shows, unsubscribe headers of bulk mail, and links that lead nowhere."),
  );
}
