// The frame's bytes, sixteen a line; those of the chosen field are lit, and a click on one finds its field.

import { decoded, element } from "./dom.js";

const LINE = 16;
const MOST = 65_536;

export class ByteView {
  constructor(on) {
    this.on = on;
    this.tabs = element("div", { class: "k8-tabs" });
    this.dump = element("div", { class: "k8-dump", tabIndex: 0, "aria-label": "Bytes" });
    this.node = element("div", { class: "k8-bytes" }, this.tabs, this.dump);
    this.dump.addEventListener("click", (event) => {
      const at = event.target.dataset.at;
      if (at !== undefined) this.on.choose(this.source, Number(at));
    });
  }

  show(sources) {
    this.sources = sources.map((one) => ({ name: one.name, bytes: decoded(one.bytes) }));
    this.open(0);
  }

  clear() {
    this.sources = [];
    this.tabs.replaceChildren();
    this.dump.replaceChildren();
  }

  open(source) {
    this.source = source;
    const { bytes } = this.sources[source];
    this.tabs.replaceChildren(...(this.sources.length > 1 ? this.sources.map((one, i) => element("button", {
      class: i === source ? "k8-open" : "", onclick: () => this.open(i),
    }, `${one.name} (${one.bytes.length} bytes)`)) : []));
    const shown = Math.min(bytes.length, MOST);
    this.hex = new Array(shown);
    this.text = new Array(shown);
    const lines = [];
    for (let start = 0; start < shown; start += LINE) lines.push(this.line(bytes, start, Math.min(start + LINE, shown)));
    if (shown < bytes.length) lines.push(element("p", { class: "k8-note" }, `… and ${bytes.length - shown} more bytes`));
    this.dump.replaceChildren(...lines);
    this.dump.scrollTop = 0;
  }

  line(bytes, start, end) {
    const hex = element("span", { class: "k8-hex" });
    const text = element("span", { class: "k8-ascii" });
    for (let at = start; at < end; at++) {
      const byte = bytes[at];
      const two = element("span", {}, byte.toString(16).padStart(2, "0"));
      const one = element("span", {}, byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·");
      two.dataset.at = one.dataset.at = at;
      this.hex[at] = two;
      this.text[at] = one;
      hex.append(two, at - start === 7 ? "  " : " ");
      text.append(one);
    }
    return element("div", { class: "k8-line" },
      element("span", { class: "k8-offset" }, start.toString(16).padStart(4, "0")), hex, text);
  }

  light(source, start, size) {
    if (!this.sources || !this.sources.length) return;
    if (source !== this.source && size) this.open(source);
    this.dump.querySelectorAll(".k8-lit").forEach((lit) => lit.classList.remove("k8-lit"));
    for (let at = start; at < start + size && at < this.hex.length; at++) {
      this.hex[at].classList.add("k8-lit");
      this.text[at].classList.add("k8-lit");
    }
    if (size && this.hex[start]) this.hex[start].parentNode.parentNode.scrollIntoView({ block: "nearest" });
  }
}
