// Releasing one message through the real mail server of the sandbox.

import { get, post } from "./api.js";
import { $, attempt, button, toast } from "./dom.js";

let server = { server: null, allow: [] };

/** Load the server, once: it does not change while the sandbox runs. */
export async function loadServer() {
  server = await get("/release");
}

/** A button, if there is a server. */
export function releaseButton(mail) {
  if (server.server === null) return null;
  return button("Release", () => open(mail), { id: "release-one", title: `Release it through ${server.server}` });
}

function open(mail) {
  const to = $("release-to");
  to.value = "";
  $("release-text").textContent = `${server.server} sends it for real: to all its recipients that are allowed (${server.allow.join(", ")}), or to one allowed address:`;
  $("release-form").onsubmit = () => {
    const body = to.value.trim() ? { to: to.value.trim() } : {};
    attempt(async () => {
      const { recipients, refused } = await post(`/messages/${mail.number}/release`, body);
      const not = Object.keys(refused);
      toast(`Released to ${recipients.join(", ")}${not.length ? `; refused: ${not.join(", ")}` : ""}`);
    });
  };
  $("release").showModal();
}
