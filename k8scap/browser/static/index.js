// The browser: panes put together, and what goes between the page and the kernel.

import { ByteView } from "./byte_view.js";
import { Conversation } from "./conversation.js";
import { DetailTree } from "./detail_tree.js";
import { counted, element, firstAndLast } from "./dom.js";
import { FilterLine } from "./filter_line.js";
import { Menu, ask } from "./menus.js";
import { PacketList } from "./packet_list.js";
import { Rows } from "./rows.js";

const HELP = [
  "Arrow keys, Page Up and Down, Home, End, F7, F8: move; Shift or Ctrl and a click: select several",
  "Ctrl+/: the filter line; Enter applies it, Esc goes back to the list",
  "F or Ctrl+Alt+Shift+T: follow the conversation; Esc: back to the frame",
  "Ctrl+. and Ctrl+,: the conversation's next and previous packet",
  "Ctrl+M: mark; Ctrl+Alt+C: note; Ctrl+Shift+N and B: next and previous mark",
  "Ctrl+G: go to a packet; right click: filters, columns, marks",
  null,
  "Orange: lost and sent again; pale orange: repeated or overtaken, nothing lost",
  "Red: reset; violet: closed or full window; yellow: ICMP error",
  "Grey: a gap in the capture; pale grey: a connection opens or closes",
];

const MOST_MARKED = 200;

class Page {
  constructor(model) {
    this.model = model;
    this.columns = model.get("first_columns");
    this.answered = false;
    this.rows = new Rows((question) => this.send(question), () => this.list.paint());
    this.list = new PacketList(this.rows, {
      select: (row, ranges) => this.selected(row, ranges),
      sort: (name, was) => this.sort(name, was),
      columns: (event) => this.columnMenu(event),
      menu: (event, row, name) => this.rowMenu(event, row, name),
      seen: (first, end) => this.send({ ask: "told", view: this.rows.view, first, end }),
    });
    this.tree = new DetailTree({
      choose: (node) => this.bytes.light(node.source, node.start, node.size),
      menu: (event, filter) => this.menu.open(event, this.filterEntries(filter)),
    });
    this.bytes = new ByteView({ choose: (source, place) => this.tree.chooseByte(source, place) });
    this.filter = new FilterLine({
      apply: (text) => this.send({ ask: "filter", text }),
      check: (text) => this.send({ ask: "check", text }),
      stop: () => this.send({ ask: "stop" }),
      leave: () => this.list.scroller.focus(),
      help: (event) => this.menu.open(event, HELP.map((line) => (line ? [line, null] : null))),
    });
    this.conversation = new Conversation({
      ask: (row, what) => this.send({ ask: "follow", view: this.rows.view, row, what }),
      close: () => { this.frame.hidden = false; this.lower.classList.remove("k8-following"); this.list.scroller.focus(); },
      frame: (number) => this.go("number", number, 0),
    });
    this.detail = firstAndLast(120, (row) => this.send({ ask: "detail", view: this.rows.view, row }));
    this.findings = element("div", { class: "k8-findings", hidden: true });
    this.frame = element("div", { class: "k8-frame" }, this.tree.node, this.bytes.node);
    this.lower = element("div", { class: "k8-lower" }, this.frame, this.conversation.node);
    this.splitter = element("div", { class: "k8-splitter", onmousedown: (event) => this.split(event) });
    this.status = element("div", { class: "k8-status", "aria-live": "polite" });
    this.node = element("div", {
      class: "k8scap-browser", "data-lm-suppress-shortcuts": "true",
      "data-jp-suppress-context-menu": "true", onkeydown: (event) => this.key(event),
    }, this.filter.node, this.findings, this.list.node, this.splitter, this.lower, this.status);
    this.menu = new Menu(this.node);
    this.node.style.height = `${model.get("height")}px`;
    this.tree.say("Select a packet to see its details. Arrow keys move, Ctrl+M marks, F or a right click follows its conversation.");
    this.firstRows();
  }

  // What came with the widget is shown at once, and stays where there is no kernel.
  firstRows() {
    const first = this.model.get("first_rows");
    this.rows.reset(0, this.model.get("total"));
    const cells = first.map((row) => row.cells);
    this.list.setColumns(this.columns, null);
    this.rows.blocks.set(0, first.map((row) => ({ cells: row.cells, kind: row.kind, marked: false, note: "" })));
    this.filter.count.textContent = `${counted(this.rows.total)} packets`;
    if (cells.length < Math.min(100, this.rows.total)) this.partial = true;
    this.list.restart();
    setTimeout(() => {
      if (!this.answered) this.say("No kernel answers: these are the first packets. Run the cell to browse all of them.");
    }, 8000);
  }

  // The table that stands below for pages without a kernel.
  hideFirstRows() {
    const page = CSS.escape(this.model.get("page_id"));
    document.querySelectorAll(`.k8scap-first-rows[data-page="${page}"]`).forEach((table) => { table.hidden = true; });
  }

  send(question) { this.model.send(question); }

  say(text) { this.status.textContent = text; }

  // ---- from the kernel ----

  hear(told) {
    this.answered = true;
    this.hideFirstRows();
    const hear = {
      state: () => this.state(told),
      rows: () => this.rows.take(told),
      told: () => this.rows.takeTold(told),
      repaint: () => { this.rows.forget(); this.list.paint(); },
      progress: () => this.filter.progress(told.part),
      checked: () => this.filter.checked(told),
      fields: () => { this.filter.fields = told.names; },
      findings: () => this.showFindings(told),
      detail: () => this.showDetail(told),
      conversation: () => this.conversation.show(told),
      cell: () => this.cellMenu(told.filters),
      marked: () => { this.rows.mark(told.row, told.note); this.marks = told.marks; },
      go: () => this.went(told.row),
      error: () => this.complain(told),
    }[told.tell];
    if (hear) hear();
  }

  state(told) {
    const same = this.rows.view === told.view && this.rows.total === told.shown;
    this.filter.state(told);
    this.choices = told.choices;
    this.sorting = told.sorting;
    this.columns = told.columns;
    this.list.setColumns(told.columns, told.sorting);
    if (!same || this.partial) {
      const keep = same ? [...this.rows.blocks] : [];
      this.rows.reset(told.view, told.shown);
      if (same) { this.rows.awaited.clear(); keep.forEach(([n, block]) => this.rows.blocks.set(n, block)); }
      if (this.partial) { this.rows.blocks.clear(); this.partial = false; }
      if (!same) this.otherRows(told);
      this.list.restart();
      if (!same && told.current >= 0) this.list.keep(told.current);
    }
    this.list.paint();
  }

  // Another conversation, or none, may be selected now; a frame that is still in the list stays selected.
  otherRows(told) {
    if (!this.conversation.node.hidden) this.conversation.close();
    if (told.current >= 0) return;
    this.tree.say(told.shown ? "Select a packet to see its details." : "No packet passes this filter.");
    this.bytes.clear();
    this.say("");
  }

  showDetail(told) {
    this.tree.show(told.tree);
    this.bytes.show(told.sources);
    this.say(told.note ? `Frame ${told.number}: ${told.note}` : `Frame ${told.number} of ${told.point}`);
  }

  showFindings({ findings, notes }) {
    this.findings.hidden = !findings.length;
    if (notes.length && !this.status.textContent) this.say(notes.join(" "));
    this.findings.replaceChildren(...findings.map((finding, number) => element("button", {
      class: `k8-finding k8-${finding.severity}`,
      title: `${finding.title}\n${finding.next ? `Next: ${finding.next}\n` : ""}${finding.filter ? "Click to see its packets." : ""}`,
      onclick: () => { this.send({ ask: "finding", number }); this.say(finding.title); },
    }, `${finding.severity}: ${finding.rule}`)));
  }

  complain(told) {
    const sentence = told.next ? `${told.message} Next: ${told.next}` : told.message;
    if (told.about === "filter") this.filter.refuse(sentence);
    else if (told.about === "detail") { this.tree.say(sentence); this.bytes.clear(); }
    else if (told.about === "follow") this.conversation.say(sentence);
    else this.say(sentence);
  }

  // ---- from the reader ----

  selected(row, ranges) {
    this.send({ ask: "select", view: this.rows.view, ranges, current: row });
    this.detail(row);
    if (!this.conversation.node.hidden) this.conversation.close();
  }

  sort(name, wasDescending) {
    const next = wasDescending === null ? { name, descending: false }
      : wasDescending ? { name: "", descending: false } : { name, descending: true };
    this.send({ ask: "sort", ...next });
  }

  go(to, from, step) { this.send({ ask: "go", to, from, step }); }

  went(row) {
    if (row < 0) { this.say("There is none in this list."); return; }
    this.list.middle(row);
    this.list.select(row);
    this.list.scroller.focus({ preventScroll: true });
  }

  follow(row = this.list.current) {
    if (row < 0) return;
    this.frame.hidden = true;
    this.lower.classList.add("k8-following");
    this.conversation.open(row);
  }

  mark(row = this.list.current) {
    const there = this.rows.get(row);
    if (!there) return;
    const note = there.marked ? null : "";
    const chosen = this.list.isSelected(row) ? this.list.chosen(MOST_MARKED) : [row];
    for (const one of chosen) this.send({ ask: "mark", view: this.rows.view, row: one, note });
  }

  note(row = this.list.current) {
    const there = this.rows.get(row);
    if (!there) return;
    ask(this.node, "Note on this packet: ", there.note, (text) => {
      if (text !== null) this.send({ ask: "mark", view: this.rows.view, row, note: text });
      this.list.scroller.focus();
    });
  }

  key(event) {
    const control = event.ctrlKey || event.metaKey;
    const at = this.list.current;
    const commands = {
      "Ctrl+m": () => this.mark(),
      "Ctrl+Alt+c": () => this.note(),
      "Ctrl+/": () => this.filter.input.focus(),
      "Ctrl+g": () => this.askNumber(),
      "Ctrl+.": () => this.go("conversation", at, 1),
      "Ctrl+,": () => this.go("conversation", at, -1),
      "Ctrl+Shift+n": () => this.go("mark", at, 1),
      "Ctrl+Shift+b": () => this.go("mark", at, -1),
      "Ctrl+Alt+Shift+t": () => this.follow(),
      F: () => this.follow(), f: () => this.follow(),
      F8: () => this.list.select(Math.min(at + 1, this.rows.total - 1)),
      F7: () => this.list.select(Math.max(at - 1, 0)),
      Escape: () => { if (!this.conversation.node.hidden) this.conversation.close(); },
    };
    const plain = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const name = control ? `Ctrl+${event.altKey ? "Alt+" : ""}${event.shiftKey ? "Shift+" : ""}${plain}` : event.key;
    const command = commands[name];
    event.stopPropagation();
    if (!command || event.target.tagName === "INPUT" && !control) return;
    event.preventDefault();
    command();
  }

  askNumber() {
    ask(this.node, "Go to packet number: ", "", (text) => {
      if (text !== null && /^\d+$/.test(text.trim())) this.go("number", Number(text), 0);
      this.list.scroller.focus();
    });
  }

  split(event) {
    event.preventDefault();
    const start = event.clientY;
    const before = this.lower.offsetHeight;
    const move = (moved) => { this.lower.style.flexBasis = `${Math.max(60, before - moved.clientY + start)}px`; };
    const end = () => { removeEventListener("mousemove", move); removeEventListener("mouseup", end); };
    addEventListener("mousemove", move);
    addEventListener("mouseup", end);
  }

  // ---- menus ----

  filterEntries(filter) {
    if (!filter) return [["No filter stands for this", null]];
    const apply = (how) => () => this.filter.combine(filter, how);
    return [
      [filter, null], ["Show only these", apply("")], ["… and", apply("and")], ["… or", apply("or")],
      ["Show all but these", apply("not")],
    ];
  }

  rowMenu(event, row, name) {
    this.pending = { event, row };
    const said = this.rows.told.get(row);
    this.send({ ask: "cell", view: this.rows.view, row, name, said: said ? said[0] : "" });
  }

  cellMenu(filters) {
    const { event, row } = this.pending;
    const there = this.rows.get(row);
    const entries = Object.values(filters).flatMap((filter) => [...this.filterEntries(filter), null]);
    if (filters.Conversation) entries.push(["Follow this conversation (F)", () => this.follow(row)]);
    entries.push([there && there.marked ? "Take the mark away (Ctrl+M)" : "Mark (Ctrl+M)", () => this.mark(row)]);
    entries.push(["Note … (Ctrl+Alt+C)", () => this.note(row)], ["Columns …", () => this.columnMenu(event)]);
    this.menu.open(event, entries);
  }

  columnMenu(event) {
    const shown = this.columns.map((column) => column.name);
    const own = shown.filter((name) => name.startsWith("="));
    const entry = (name) => [name.replaceAll("_", " "), () => this.toggleColumn(name), shown.includes(name)];
    this.menu.open(event, [["Any Wireshark field …", () => this.askField()], null, ...[...own, ...(this.choices || [])].map(entry)]);
  }

  toggleColumn(name) {
    const shown = this.columns.map((column) => column.name);
    const before = shown.includes("info") && name !== "info" ? shown.indexOf("info") : shown.length;
    const names = shown.includes(name) ? shown.filter((one) => one !== name)
      : [...shown.slice(0, before), name, ...shown.slice(before)];
    this.send({ ask: "columns", names });
  }

  askField() {
    ask(this.node, "Field (http.host, dns.qry.name …): ", "", (text) => {
      if (text && text.trim()) this.toggleColumn(`=${text.trim()}`);
      this.list.scroller.focus();
    });
  }
}

function render({ model, el }) {
  const page = new Page(model);
  const hear = (told) => page.hear(told);
  model.on("msg:custom", hear);
  el.append(page.node);
  model.send({ ask: "hello" });
  return () => model.off("msg:custom", hear);
}

export default { render };
