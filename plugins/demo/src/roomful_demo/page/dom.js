// Makes elements; text is always text, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** The element of the page with that id. */
export const byId = (id) => document.getElementById(id);

/** A new element with a class, and children that are elements or text. */
export function make(tag, className = "", ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** One of the page's icons. */
export function icon(name) {
  const made = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#${name}`);
  made.append(use);
  return made;
}

/** Tell something in passing; it goes away by itself. */
export function notice(text) {
  const made = make("p", "notice", text);
  byId("notices").append(made);
  setTimeout(() => made.remove(), 6000);
}
