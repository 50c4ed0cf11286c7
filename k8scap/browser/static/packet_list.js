// The packet list: a window onto any number of rows. A page cannot be as high as a million rows are, so
// beyond a height the scroll bar stands for a part of the whole and the wheel moves by rows.

import { element, later } from "./dom.js";

const ROW = 20;
const HIGHEST = 8_000_000;

export class PacketList {
  constructor(rows, on) {
    this.rows = rows;
    this.on = on;
    this.top = 0;
    this.current = -1;
    this.anchor = -1;
    this.ranges = [];
    this.columns = [];
    this.pool = [];
    this.head = element("div", { class: "k8-head", role: "row" });
    this.window = element("div", { class: "k8-window" });
    this.spacer = element("div", { class: "k8-spacer" }, this.window);
    this.scroller = element("div", {
      class: "k8-scroller", tabIndex: 0, role: "grid", "aria-label": "Packets",
      onscroll: () => this.scrolled(), onkeydown: (event) => this.key(event),
    }, this.spacer);
    this.scroller.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.node = element("div", { class: "k8-list" }, this.head, this.scroller);
    this.settled = later(180, () => this.tellSeen());
    new ResizeObserver(() => this.resize()).observe(this.scroller);
  }

  get total() { return this.rows.total; }
  get seen() { return Math.max(1, Math.floor(this.scroller.clientHeight / ROW)); }
  get scaled() { return this.total * ROW > HIGHEST; }
  get highest() { return Math.max(0, this.total - this.seen); }

  setColumns(columns, sorting) {
    this.columns = columns;
    this.setWidths();
    this.head.replaceChildren(...columns.map((column) => this.heading(column, sorting)));
    this.pool = [];
    this.window.replaceChildren();
  }

  setWidths() {
    const widths = this.columns.map((c) => (c.width ? `${c.width}px` : "minmax(240px, 1fr)"));
    const least = this.columns.reduce((sum, column) => sum + (column.width || 240), 0);
    this.node.style.setProperty("--k8-columns", widths.join(" "));
    this.node.style.setProperty("--k8-least", `${least}px`);
  }

  heading(column, sorting) {
    const sorted = sorting && sorting.name === column.name;
    const arrow = sorted ? (sorting.descending ? " ▾" : " ▴") : "";
    const handle = element("span", { class: "k8-handle", onmousedown: (event) => this.widen(event, column) });
    const title = column.sortable ? "Sort by this column; a third click sorts by capture again" : "";
    return element("div", {
      class: column.right ? "k8-right" : "", title, role: "columnheader",
      onclick: () => column.sortable && this.on.sort(column.name, sorted ? sorting.descending : null),
      oncontextmenu: (event) => { event.preventDefault(); this.on.columns(event); },
    }, element("span", {}, column.title + arrow), handle);
  }

  widen(event, column) {
    event.preventDefault();
    event.stopPropagation();
    const start = event.clientX;
    const before = column.width || 300;
    const move = (moved) => {
      column.width = Math.max(40, before + moved.clientX - start);
      this.setWidths();
    };
    const end = () => { removeEventListener("mousemove", move); removeEventListener("mouseup", end); };
    addEventListener("mousemove", move);
    addEventListener("mouseup", end);
  }

  resize() {
    this.spacer.style.height = `${Math.min(this.total * ROW, HIGHEST)}px`;
    this.window.style.height = `${this.scroller.clientHeight}px`;
    this.paint();
  }

  restart() {
    this.current = this.anchor = -1;
    this.ranges = [];
    this.resize();
    this.to(0);
  }

  // ---- moving ----

  to(top) {
    this.top = Math.min(Math.max(0, top), this.highest);
    const room = this.scroller.scrollHeight - this.scroller.clientHeight;
    const at = this.scaled ? (this.highest ? (this.top / this.highest) * room : 0) : this.top * ROW;
    if (Math.abs(this.scroller.scrollTop - at) >= 1) {
      this.scroller.scrollTop = at;
      this.ours = this.scroller.scrollTop;
    }
    this.paint();
  }

  scrolled() {
    const at = this.scroller.scrollTop;
    if (this.ours === at) { this.ours = null; return; }
    const room = this.scroller.scrollHeight - this.scroller.clientHeight;
    this.top = this.scaled ? (room ? (at / room) * this.highest : 0) : at / ROW;
    this.paint();
  }

  wheel(event) {
    if (!this.scaled || event.ctrlKey) return;
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 3 : event.deltaMode === 2 ? this.seen : 1 / ROW;
    this.to(this.top + event.deltaY * unit);
  }

  show(row) {
    if (row < this.top) this.to(row);
    else if (row >= Math.floor(this.top) + this.seen) this.to(row - this.seen + 1);
    else this.paint();
  }

  middle(row) {
    if (row < this.top || row >= this.top + this.seen - 1) this.to(row - Math.floor(this.seen / 2));
  }

  // ---- selecting ----

  select(row, { extend = false, add = false } = {}) {
    if (row < 0 || row >= this.total) return;
    if (extend && this.anchor >= 0) {
      this.ranges = [[Math.min(this.anchor, row), Math.max(this.anchor, row)]];
    } else if (add) {
      const there = this.ranges.findIndex(([a, b]) => a === row && b === row);
      if (there >= 0) this.ranges.splice(there, 1);
      else this.ranges.push([row, row]);
      this.anchor = row;
    } else {
      this.ranges = [[row, row]];
      this.anchor = row;
    }
    this.current = row;
    this.show(row);
    this.on.select(row, this.ranges);
  }

  // The selected rows, as many as `most`.
  chosen(most) {
    const rows = [];
    for (const [first, last] of this.ranges) {
      for (let row = first; row <= last && rows.length < most; row++) rows.push(row);
    }
    return rows;
  }

  // Select a row without telling anybody: it was selected before the list changed.
  keep(row) {
    this.current = this.anchor = row;
    this.ranges = [[row, row]];
    this.to(row - Math.floor(this.seen / 2));
  }

  isSelected(row) { return this.ranges.some(([a, b]) => a <= row && row <= b); }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: this.seen, PageUp: -this.seen }[event.key];
    const at = { Home: 0, End: this.total - 1 }[event.key];
    if (event.altKey || (event.ctrlKey && step === undefined && at === undefined)) return;
    if (step === undefined && at === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const row = at ?? Math.min(Math.max(this.current + step, 0), this.total - 1);
    this.select(row, { extend: event.shiftKey });
  }

  // ---- painting ----

  paint() {
    if (this.due) return;
    this.due = requestAnimationFrame(() => { this.due = null; this.draw(); });
  }

  draw() {
    const first = Math.floor(this.top);
    const count = Math.min(this.seen + 2, this.total - first);
    while (this.pool.length < count) this.pool.push(this.line());
    this.window.style.setProperty("--k8-shift", `${-(this.top - first) * ROW}px`);
    this.pool.forEach((line, i) => {
      line.node.hidden = i >= count;
      if (i < count) this.fill(line, first + i);
    });
    this.rows.want(first, first + count);
    this.settled();
  }

  line() {
    const cells = this.columns.map((column) => element("span", { class: column.right ? "k8-right" : "" }));
    const node = element("div", { class: "k8-row", role: "row" }, ...cells);
    const line = { node, cells, row: -1 };
    node.addEventListener("mousedown", (event) => this.press(event, line));
    node.addEventListener("contextmenu", (event) => this.menu(event, line));
    this.window.append(node);
    return line;
  }

  press(event, line) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.scroller.focus({ preventScroll: true });
    this.select(line.row, { extend: event.shiftKey, add: event.ctrlKey || event.metaKey });
  }

  menu(event, line) {
    event.preventDefault();
    const column = this.columns[line.cells.findIndex((cell) => cell.contains(event.target))];
    if (!this.isSelected(line.row)) this.select(line.row);
    this.on.menu(event, line.row, column ? column.name : "number");
  }

  fill(line, row) {
    line.row = row;
    const there = this.rows.get(row);
    const said = this.rows.told.get(row);
    line.node.dataset.kind = there ? there.kind : "plain";
    line.node.dataset.row = row;
    line.node.setAttribute("aria-selected", this.isSelected(row));
    line.node.classList.toggle("k8-current", row === this.current);
    line.node.classList.toggle("k8-marked", Boolean(there && there.marked));
    line.node.title = there && there.note ? there.note : "";
    line.cells.forEach((cell, i) => {
      cell.textContent = there ? this.text(there.cells[i], this.columns[i].name, said) : "…";
    });
  }

  // Columns of Wireshark's fields come with what tshark says, in their order.
  told(name, said) {
    const fields = this.columns.filter((column) => column.name.startsWith("="));
    return (said && said[2 + fields.findIndex((column) => column.name === name)]) || "";
  }

  // An application's protocol and words stand before what the table says of its segment.
  text(cell, name, said) {
    if (name.startsWith("=")) return this.told(name, said);
    if (!said || !said[0]) return cell;
    if (name === "protocol") return said[0];
    if (name !== "info") return cell;
    const remark = /^\[[^\]]*\] /.exec(cell);
    return (remark && !/^\[[A-Z, ]*\] /.test(remark[0]) ? remark[0] : "") + said[1];
  }

  tellSeen() {
    const first = Math.floor(this.top);
    const end = Math.min(first + this.seen + 2, this.total);
    for (let row = first; row < end; row++) {
      if (!this.rows.told.has(row)) { this.on.seen(first, end); return; }
    }
  }
}
