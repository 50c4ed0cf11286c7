// The selected frame as Wireshark dissects it.

import { element } from "./dom.js";

export class DetailTree {
  constructor(on) {
    this.on = on;
    this.opened = new Set();
    this.node = element("div", {
      class: "k8-tree", tabIndex: 0, role: "tree", "aria-label": "Details",
      onkeydown: (event) => this.key(event),
    });
    this.items = [];
    this.chosen = null;
  }

  show(tree) {
    this.items = [];
    this.chosen = null;
    this.node.replaceChildren(...tree.map((node) => this.item(node, node.name, 0)));
    this.node.scrollTop = 0;
  }

  say(text) {
    this.items = [];
    this.node.replaceChildren(element("p", { class: "k8-note" }, text));
  }

  item(node, path, depth) {
    const text = element("span", { class: "k8-text" }, node.text);
    const arrow = element("span", { class: "k8-arrow" }, node.nodes.length ? "▸" : "");
    const label = element("div", { class: "k8-item", style: `padding-left: ${depth * 14 + 4}px` }, arrow, text);
    if (depth === 0) label.classList.add("k8-protocol");
    if (/^_ws\.(expert|malformed)/.test(node.name)) label.classList.add("k8-expert");
    const below = element("div", { class: "k8-below", role: "group" });
    const made = element("div", { role: "treeitem" }, label, below);
    const item = { node, path, depth, label, below, made, arrow, filled: false };
    this.items.push(item);
    label.addEventListener("click", () => this.choose(item));
    label.addEventListener("dblclick", () => this.toggle(item));
    arrow.addEventListener("click", (event) => { event.stopPropagation(); this.toggle(item); });
    label.addEventListener("contextmenu", (event) => {
      event.preventDefault();
      this.choose(item);
      this.on.menu(event, node.filter);
    });
    this.toggle(item, node.nodes.length > 0 && this.opened.has(path));
    return made;
  }

  toggle(item, open = !item.open) {
    if (!item.node.nodes.length) return;
    item.open = open;
    item.below.hidden = !open;
    item.arrow.textContent = open ? "▾" : "▸";
    item.made.setAttribute("aria-expanded", open);
    if (open) this.opened.add(item.path);
    else this.opened.delete(item.path);
    if (open && !item.filled) {
      item.filled = true;
      item.below.append(...item.node.nodes.map((n) => this.item(n, `${item.path}/${n.name}`, item.depth + 1)));
    }
  }

  choose(item, told = true) {
    if (this.chosen) this.chosen.label.classList.remove("k8-chosen");
    this.chosen = item;
    item.label.classList.add("k8-chosen");
    if (told) this.on.choose(item.node);
  }

  // Open the way to the smallest field that has this byte, and choose it.
  chooseByte(source, place) {
    const has = (n) => n.source === source && n.size > 0 && n.start <= place && place < n.start + n.size;
    const smallest = (nodes, trail) => {
      let best = null;
      for (const node of nodes) {
        const deeper = smallest(node.nodes, [...trail, node]);
        const own = has(node) ? { size: node.size, trail: [...trail, node] } : null;
        for (const found of [own, deeper]) if (found && (!best || found.size <= best.size)) best = found;
      }
      return best;
    };
    const found = smallest(this.items.filter((item) => item.depth === 0).map((item) => item.node), []);
    if (!found) return;
    let item = null;
    for (const node of found.trail) {
      item = this.items.find((one) => one.node === node);
      if (item && node !== found.trail[found.trail.length - 1]) this.toggle(item, true);
    }
    if (!item) return;
    this.choose(item);
    item.label.scrollIntoView({ block: "nearest" });
  }

  shown() {
    return this.items.filter((item) => item.label.offsetParent !== null)
      .sort((a, b) => a.label.offsetTop - b.label.offsetTop);
  }

  key(event) {
    const shown = this.shown();
    const at = shown.indexOf(this.chosen);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) this.focus(shown[Math.min(Math.max(at + step, 0), shown.length - 1)]);
    else if (event.key === "ArrowRight" && this.chosen) this.toggle(this.chosen, true);
    else if (event.key === "ArrowLeft" && this.chosen) this.toggle(this.chosen, false);
    else if (event.key === "Enter" && this.chosen) this.toggle(this.chosen);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  focus(item) {
    if (!item) return;
    this.choose(item);
    item.label.scrollIntoView({ block: "nearest" });
  }
}
