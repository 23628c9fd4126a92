// Chat by text streams, on the topic that the published clients use.

import { byId, make } from "./dom.js";

const TOPIC = "lk.chat";
const KEPT = 200;

export class Chat {
  #panel = byId("chat-panel");
  #messages = byId("messages");
  #toggle = byId("toggle-chat");
  #badge = byId("unread");
  #unread = 0;

  /** `say(text)` sends; called when the form is. */
  constructor(say) {
    this.#toggle.addEventListener("click", () => this.open(this.#panel.hidden));
    byId("close-chat").addEventListener("click", () => this.open(false));
    byId("say").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = byId("text").value.trim();
      if (!text) return;
      byId("text").value = "";
      say(text);
    });
    this.open(matchMedia("(min-width: 60rem)").matches);
  }

  /** Read what others send in this room. */
  attach(room) {
    this.#messages.replaceChildren();
    room.registerTextStreamHandler(TOPIC, async (reader, { identity }) => {
      const sender = room.remoteParticipants.get(identity);
      this.add(sender?.name || identity, await reader.readAll(), false);
    });
  }

  /** Send to everybody. */
  async send(room, text) {
    await room.localParticipant.sendText(text, { topic: TOPIC });
    this.add(room.localParticipant.name || "You", text, true);
  }

  add(name, text, own) {
    const time = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const head = make("header", "", make("b", "", name), make("time", "", time));
    this.#messages.append(make("li", own ? "own" : "", head, make("p", "", text)));
    while (this.#messages.children.length > KEPT) this.#messages.firstChild.remove();
    this.#messages.scrollTop = this.#messages.scrollHeight;
    if (this.#panel.hidden) this.#count(this.#unread + 1);
  }

  open(open) {
    this.#panel.hidden = !open;
    this.#toggle.setAttribute("aria-pressed", String(open));
    if (open) this.#count(0);
  }

  #count(unread) {
    this.#unread = unread;
    this.#badge.hidden = unread === 0;
    this.#badge.textContent = unread > 9 ? "9+" : String(unread);
  }
}
