// Menus at the mouse, and the question for a note.

import { element } from "./dom.js";

export class Menu {
  constructor(root) {
    this.root = root;
    this.node = element("div", { class: "k8-menu", role: "menu", hidden: true });
    root.append(this.node);
    root.addEventListener("mousedown", (event) => { if (!this.node.contains(event.target)) this.close(); });
    root.addEventListener("keydown", (event) => { if (event.key === "Escape") this.close(); }, true);
  }

  // `entries` are [words, action]; null is a line between them, no action a heading.
  open(event, entries) {
    this.node.replaceChildren(...entries.map((entry) => {
      if (entry === null) return element("hr");
      const [words, action, checked] = entry;
      if (!action) return element("div", { class: "k8-heading" }, words);
      const mark = checked === undefined ? "" : checked ? "✓ " : "\u2003";
      return element("button", { role: "menuitem", onclick: () => { this.close(); action(); } }, mark + words);
    }));
    this.node.hidden = false;
    const box = this.root.getBoundingClientRect();
    const left = Math.min(event.clientX - box.left, box.width - this.node.offsetWidth - 4);
    const top = Math.min(event.clientY - box.top, box.height - this.node.offsetHeight - 4);
    this.node.style.left = `${Math.max(left, 0)}px`;
    this.node.style.top = `${Math.max(top, 0)}px`;
  }

  close() {
    this.node.hidden = true;
  }
}

// A line to write in, at the foot of the list: what was asked, and what stands there now.
export function ask(root, question, text, done) {
  root.querySelectorAll(".k8-ask").forEach((open) => open.remove());
  const input = element("input", { type: "text", value: text, "aria-label": question });
  const close = (answer) => { box.remove(); done(answer); };
  input.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") close(input.value);
    if (event.key === "Escape") close(null);
  });
  const box = element("div", { class: "k8-ask" }, element("label", {}, question, input),
    element("button", { onclick: () => close(input.value) }, "OK"),
    element("button", { onclick: () => close(null) }, "Cancel"));
  root.append(box);
  input.focus();
  input.select();
}
