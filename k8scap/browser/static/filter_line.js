// The display filter: green where the table answers it, yellow where tshark must, red where it is none.

import { counted, element, later } from "./dom.js";

const MOST = 12;

export class FilterLine {
  constructor(on) {
    this.on = on;
    this.fields = [];
    this.applied = "";
    this.input = element("input", {
      class: "k8-filter", type: "text", spellcheck: false, autocomplete: "off",
      placeholder: "Display filter, as in Wireshark: tcp.analysis.retransmission and ip.addr == 10.0.0.7",
      "aria-label": "Display filter",
      oninput: () => this.typed(), onkeydown: (event) => this.key(event), onblur: () => this.close(),
    });
    this.apply = element("button", { title: "Apply (Enter)", onclick: () => this.go() }, "Apply");
    this.clear = element("button", { title: "Show all packets", onclick: () => this.set("") }, "Clear");
    this.help = element("button", { title: "Keys and colours", onclick: (event) => on.help(event) }, "?");
    this.count = element("span", { class: "k8-count", "aria-live": "polite" });
    this.bar = element("progress", { class: "k8-progress", max: 1, hidden: true });
    this.halt = element("button", { hidden: true, onclick: () => on.stop() }, "Stop");
    this.error = element("div", { class: "k8-error", role: "alert", hidden: true });
    this.list = element("div", { class: "k8-completions", hidden: true });
    const field = element("div", { class: "k8-field" }, this.input, this.list);
    this.line = element("div", { class: "k8-bar" },
      field, this.apply, this.clear, this.bar, this.halt, this.count, this.help);
    this.node = element("div", {}, this.line, this.error);
    this.check = later(250, () => this.on.check(this.input.value));
  }

  set(text) {
    this.input.value = text;
    this.go();
  }

  // `how` is "and", "or", "not", or "" to replace what stands there.
  combine(text, how) {
    const before = this.applied;
    const joined = before && how ? `(${before}) ${how} (${text})` : text;
    this.set(how === "not" ? (before ? `(${before}) and not (${text})` : `not (${text})`) : joined);
  }

  go() {
    this.close();
    this.error.hidden = true;
    this.on.apply(this.input.value);
  }

  state(told) {
    this.applied = told.filter;
    this.bar.hidden = this.halt.hidden = true;
    if (document.activeElement !== this.input || this.input.value.trim() === told.filter) this.input.value = told.filter;
    this.verdict(told.filter ? "table" : "");
    const marks = told.marks ? `, ${counted(told.marks)} marked` : "";
    const of = told.filter ? ` of ${counted(told.total)}` : "";
    this.shown = `${counted(told.shown)}${of} packets${marks}`;
    this.count.textContent = this.shown;
  }

  progress(part) {
    this.bar.hidden = this.halt.hidden = false;
    if (part === null) this.bar.removeAttribute("value");
    else this.bar.value = part;
    this.count.textContent = part === null ? "asking tshark …" : `tshark reads the file: ${Math.round(part * 100)} %`;
  }

  refuse(message) {
    this.bar.hidden = this.halt.hidden = true;
    this.verdict("bad");
    this.count.textContent = this.shown;
    this.error.textContent = message;
    this.error.hidden = false;
  }

  checked(told) {
    if (told.text === this.input.value) this.verdict(told.text.trim() ? told.verdict : "");
  }

  verdict(word) {
    this.input.dataset.verdict = word;
    this.input.title = { table: "answered from the table", tshark: "tshark will read the whole file", bad: "no display filter" }[word] || "";
  }

  typed() {
    this.error.hidden = true;
    this.check();
    const word = this.word();
    const found = word.length > 1 ? this.fields.filter((name) => name.startsWith(word) && name !== word).slice(0, MOST) : [];
    this.list.replaceChildren(...found.map((name) => element("div", {
      onmousedown: (event) => { event.preventDefault(); this.complete(name); },
    }, name)));
    this.list.hidden = !found.length;
    this.at = -1;
  }

  word() {
    return /[\w.]*$/.exec(this.input.value.slice(0, this.input.selectionStart))[0];
  }

  complete(name) {
    const end = this.input.selectionStart;
    const start = end - this.word().length;
    this.input.setRangeText(name, start, end, "end");
    this.close();
    this.check();
  }

  close() {
    this.list.hidden = true;
  }

  key(event) {
    event.stopPropagation();
    const options = [...this.list.children];
    if (!this.list.hidden && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      this.at = (this.at + (event.key === "ArrowDown" ? 1 : -1) + options.length) % options.length;
      options.forEach((option, i) => option.classList.toggle("k8-chosen", i === this.at));
    } else if (!this.list.hidden && (event.key === "Tab" || (event.key === "Enter" && this.at >= 0))) {
      event.preventDefault();
      this.complete(options[Math.max(this.at, 0)].textContent);
    } else if (event.key === "Enter") {
      this.go();
    } else if (event.key === "Escape") {
      if (this.list.hidden) this.on.leave();
      this.close();
    }
  }
}
