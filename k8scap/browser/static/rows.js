// Rows of the list as the kernel sends them, in blocks; only what is seen is asked for.

const BLOCK = 100;
const KEPT = 300;
const AT_ONCE = 3;

export class Rows {
  constructor(ask, changed) {
    this.ask = ask;
    this.changed = changed;
    this.reset(-1, 0);
  }

  reset(view, total) {
    this.view = view;
    this.total = total;
    this.blocks = new Map();
    this.awaited = new Set();
    this.told = new Map();
  }

  forget() {
    this.blocks.clear();
    this.awaited.clear();
  }

  get(row) {
    const block = this.blocks.get(Math.floor(row / BLOCK));
    return block ? block[row % BLOCK] : undefined;
  }

  // Ask for what is missing of these rows: the visible ones first, then the blocks next to them.
  want(first, end) {
    const from = Math.floor(first / BLOCK);
    const to = Math.floor(Math.max(end - 1, first) / BLOCK);
    const wanted = [];
    for (let block = from; block <= to; block++) wanted.push(block);
    wanted.push(to + 1, from - 1);
    for (const block of wanted) {
      const outside = block < 0 || block * BLOCK >= this.total;
      if (outside || this.blocks.has(block) || this.awaited.has(block)) continue;
      if (this.awaited.size >= AT_ONCE) return;
      this.awaited.add(block);
      this.ask({ ask: "rows", view: this.view, first: block * BLOCK, end: (block + 1) * BLOCK });
    }
  }

  take(told) {
    if (told.view !== this.view) return;
    const number = told.first / BLOCK;
    this.awaited.delete(number);
    const block = told.cells.map((cells, i) => ({
      cells, kind: told.kinds[i], marked: told.marks[i], note: told.notes[i],
    }));
    this.blocks.delete(number);
    this.blocks.set(number, block);
    if (this.blocks.size > KEPT) this.blocks.delete(this.blocks.keys().next().value);
    this.changed();
  }

  takeTold(message) {
    if (message.view !== this.view) return;
    for (const [row, said] of Object.entries(message.rows)) this.told.set(Number(row), said);
    if (this.told.size > KEPT * BLOCK) this.told.clear();
    this.changed();
  }

  mark(row, note) {
    const there = this.get(row);
    if (there) Object.assign(there, { marked: note !== null, note: note ?? "" });
    this.changed();
  }
}
