// Handing one message on to the real mail server that the sandbox was given.

import { get, post } from "./api.js";
import { $, attempt, button, toast } from "./dom.js";

let server = { server: null, allow: [] };

/** Ask once: it stays as the sandbox was started. */
export async function loadServer() {
  server = await get("/release");
}

/** A button, where there is a server. */
export function releaseButton(mail) {
  if (server.server === null) return null;
  return button("Release", () => open(mail), { id: "release-one", title: `Hand it on to ${server.server}` });
}

function open(mail) {
  const to = $("release-to");
  to.value = "";
  $("release-text").textContent = `By ${server.server}, for real, to those of its recipients that are allowed (${server.allow.join(", ")}), or to one allowed address:`;
  $("release-form").onsubmit = () => {
    const body = to.value.trim() ? { to: to.value.trim() } : {};
    attempt(async () => {
      const { recipients, refused } = await post(`/messages/${mail.number}/release`, body);
      const not = Object.keys(refused);
      toast(`Handed on to ${recipients.join(", ")}${not.length ? `; refused: ${not.join(", ")}` : ""}`);
    });
  };
  $("release").showModal();
}
