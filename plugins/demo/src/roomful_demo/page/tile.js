// One participant, or one shared screen, on the stage.

import { icon, make } from "./dom.js";

const SHADES = 6;

/** Up to two letters that stand for a name. */
function initials(name) {
  const words = name.trim().split(/\s+/);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return letters.map((word) => [...word][0] ?? "").join("").toUpperCase() || "?";
}

/** The same shade for the same text, everywhere. */
function shade(text) {
  let sum = 0;
  for (const letter of text) sum = (sum * 31 + letter.codePointAt(0)) % 997;
  return sum % SHADES;
}

export class Tile {
  #video = null;
  #name = make("span", "tile-name");
  #muted = make("span", "tile-muted", icon("microphone"));
  #facts = make("p", "tile-facts");
  #avatar = make("div", "avatar");

  /** `own`: of this page's participant; `screen`: a shared screen instead of the participant. */
  constructor({ identity, own, screen }) {
    this.screen = screen;
    this.own = own;
    this.element = make("article", "tile", this.#avatar, make("footer", "tile-foot", this.#muted, this.#name), this.#facts);
    this.element.dataset.identity = identity;
    this.#avatar.classList.add(`shade-${shade(identity)}`);
    this.element.classList.toggle("screen", screen);
  }

  set name(name) {
    const shown = this.own && !this.screen ? `${name} (you)` : name;
    this.#name.textContent = this.screen ? `${name}: screen` : shown;
    this.#avatar.textContent = initials(name);
    this.element.setAttribute("aria-label", shown);
  }

  set muted(muted) {
    this.#muted.hidden = !muted;
  }

  set speaking(speaking) {
    this.element.classList.toggle("speaking", speaking);
  }

  set facts(text) {
    this.#facts.textContent = text;
  }

  /** Show a video track, or none. */
  show(track) {
    if (this.track === track) return;
    this.track?.detach().forEach((element) => element.remove());
    this.track = track;
    this.#video = track ? track.attach() : null;
    if (this.#video) {
      this.#video.playsInline = true;
      this.#video.classList.toggle("mirrored", this.own && !this.screen);
      this.#avatar.after(this.#video);
    }
    this.element.classList.toggle("with-video", Boolean(track));
  }

  remove() {
    this.show(null);
    this.element.remove();
  }
}
