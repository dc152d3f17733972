// Elements made of text, never of markup: what an engine calls a model can do nothing here.

const SVG = "http://www.w3.org/2000/svg";
const MOST_NAME = 48;

const fill = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
};

export const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
export const byId = (id) => document.getElementById(id);

export const show = (parent, ...children) => {
  const element = typeof parent === "string" ? byId(parent) : parent;
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
};

// Control and direction marks are made visible, as they could make one name look like another.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
export const clean = (text) => String(text).slice(0, 20_000)
  .replace(HIDDEN, (mark) => `\\u${mark.codePointAt(0).toString(16).padStart(4, "0")}`);

export const shortened = (text, most = MOST_NAME) => {
  const whole = clean(text);
  if (whole.length <= most) return whole;
  const head = Math.floor(most / 2);
  return `${whole.slice(0, head)}…${whole.slice(whole.length - (most - head - 1))}`;
};

// A name that somebody else chose: apart from the text around it, and whole where one points at it.
export const name = (text, most = MOST_NAME) => {
  const whole = clean(text);
  return el("bdi", { class: "name", title: whole.length > most ? whole.slice(0, 300) : null }, shortened(text, most) || "–");
};

export const table = (caption, columns, rows, options = {}) => {
  const head = el("thead", {}, el("tr", {}, columns.map((column) =>
    el("th", { scope: "col", class: column.text ? "text" : null }, column.title))));
  const body = el("tbody", {}, rows.map((row) => el("tr", { class: row.total ? "total" : null },
    (row.cells ?? row).map((cell, number) => el(number === 0 ? "th" : "td",
      { scope: number === 0 ? "row" : null, class: columns[number].text ? "text" : null }, cell ?? "–")))));
  return el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption },
    el("table", {}, el("caption", { class: options.captioned ? null : "unseen" }, caption), head, body));
};

// The table behind a chart: folded on a screen, unfolded on paper; as a person left it when it is drawn anew.
export const behind = (parent, label, content) => {
  const element = byId(parent) ?? parent;
  const open = element.querySelector?.("details")?.open ?? false;
  show(element, el("details", { open }, el("summary", {}, label), content));
};

export const teach = (title, ...children) => el("div", { class: "teach" }, el("h3", {}, title), ...children);
export const code = (text) => el("pre", { tabindex: "0" }, el("code", {}, String(text).split("\n").map(clean).join("\n")));
export const p = (...children) => el("p", {}, ...children);

// Draws again whenever there is another width to fill, or another theme.
const drawn = new Map();
const observer = new ResizeObserver((entries) => {
  for (const { target } of entries) drawn.get(target)?.();
});
export const drawInto = (target, draw) => {
  const element = typeof target === "string" ? byId(target) : target;
  let last = 0;
  const again = (force) => {
    const width = Math.floor(element.clientWidth);
    if (!width || (!force && width === last)) return;
    last = width;
    show(element, draw(width));
  };
  if (!drawn.has(element)) observer.observe(element);
  drawn.set(element, again);
  again(true);
};
