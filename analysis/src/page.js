// The page works without this script. It shows the value under the pointer, filters by strategy, sorts tables, and zooms
// into the range that the pointer drags over.
"use strict";
(() => {
  const all = (root, what) => [...root.querySelectorAll(what)];
  const made = (name, text, properties) => Object.assign(document.createElement(name), { textContent: text }, properties);

  // Values: the text of the mark that is nearest to the pointer. The browser would show the titles late.
  const REACH = 14;
  for (const title of all(document, "svg .marks title")) {
    title.parentNode.dataset.tip = title.textContent;
    title.remove();
  }
  const tip = document.body.appendChild(made("div", "", { id: "tip", hidden: true }));
  const distance = (box, x, y) =>
    Math.hypot(Math.max(box.left - x, 0, x - box.right), Math.max(box.top - y, 0, y - box.bottom));
  const middle = (box, x, y) => Math.hypot((box.left + box.right) / 2 - x, (box.top + box.bottom) / 2 - y);
  const show = (event) => {
    const svg = event.target.closest && event.target.closest("svg");
    let best = null;
    for (const mark of svg ? all(svg, "[data-tip]") : []) {
      if (mark.closest(".off")) continue;
      const box = mark.getBoundingClientRect();
      const rank = [distance(box, event.clientX, event.clientY), middle(box, event.clientX, event.clientY)];
      if (rank[0] > REACH) continue;
      if (!best || rank[0] < best.rank[0] || (rank[0] === best.rank[0] && rank[1] < best.rank[1])) best = { mark, rank };
    }
    tip.hidden = !best;
    if (!best) return;
    tip.textContent = best.mark.dataset.tip;
    const left = Math.min(event.clientX + 14, document.documentElement.clientWidth - tip.offsetWidth - 4);
    const above = event.clientY - tip.offsetHeight - 10;
    Object.assign(tip.style, { left: `${Math.max(left, 4)}px`, top: `${above < 0 ? event.clientY + 18 : above}px` });
  };
  document.addEventListener("pointermove", show);
  document.addEventListener("pointerdown", show);
  addEventListener("scroll", () => (tip.hidden = true), { passive: true });

  // Filter: pictures dim the marks of hidden strategies, tables leave their rows out and say so.
  const of = "[data-strategy]";
  const strategies = [...new Set(all(document, of).map((one) => one.dataset.strategy))].sort();
  const hidden = new Set();
  const filter = made("fieldset", "", { id: "filter" });
  const buttons = strategies.map((name) => made("button", name, { type: "button" }));
  const apply = () => {
    for (const one of all(document, of)) one.classList.toggle("off", hidden.has(one.dataset.strategy));
    for (const button of buttons) button.setAttribute("aria-pressed", String(!hidden.has(button.textContent)));
    for (const table of all(document, "table.sortable")) {
      const count = all(table, "tr.off").length;
      const note = table.parentNode.nextElementSibling;
      if (note && note.className === "filtered") note.remove();
      if (count) table.parentNode.after(made("p", `The filter hides ${count} row${count > 1 ? "s" : ""}.`, { className: "filtered" }));
    }
  };
  const button = (text, act) => made("button", text, { type: "button", className: "plain", onclick: act });
  for (const one of buttons) {
    one.onclick = () => {
      if (!hidden.delete(one.textContent)) hidden.add(one.textContent);
      apply();
    };
  }
  filter.append(made("legend", "Strategies"), ...buttons);
  filter.append(button("show all", () => (hidden.clear(), apply())));
  filter.append(button("hide all", () => (strategies.forEach((name) => hidden.add(name)), apply())));
  filter.append(made("p", "Point at a mark for its value. Drag over a picture to zoom, double-click to return. Click a heading to sort."));
  const begin = document.querySelector("h2");
  if (strategies.length && begin) begin.before(filter);
  apply();

  // Sorting: by the value of a cell where it has one, else by its text. Cells without a value come last.
  for (const table of all(document, "table.sortable")) {
    all(table, "thead th").forEach((heading, column) => {
      const sort = button(heading.textContent, () => {
        const up = heading.getAttribute("aria-sort") !== "ascending";
        const key = (row) => {
          const cell = row.cells[column];
          return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent;
        };
        const order = (a, b) => {
          if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
          return (typeof a === "number" ? a - b : a.localeCompare(b)) * (up ? 1 : -1);
        };
        const rows = all(table, "tbody tr");
        rows.sort((a, b) => order(key(a), key(b))).forEach((row) => row.parentNode.append(row));
        for (const other of all(table, "thead th")) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      });
      heading.replaceChildren(sort);
    });
  }

  // Zoom: positions move, marks and texts keep their size, and the axes get new ticks.
  const trimmed = (value) => String(Number(value.toPrecision(4)));
  const scaled = (value, units) => {
    const [factor, name] = units.find(([factor]) => Math.abs(value) >= 0.9999 * factor) || units[units.length - 1];
    return `${trimmed(value / factor)} ${name}`;
  };
  const texts = {
    time: (value) => value === 0 ? "0" : scaled(value, [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]]),
    bytes: (value) => scaled(value, [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "B"]]),
    percent: (value) => `${trimmed(value * 100)} %`,
    dollars: (value) => `$${trimmed(value)}`,
    number: trimmed,
    count: trimmed,
  };
  const axisOf = (text) => {
    if (!text) return null;
    const [kind, low, high, unit] = text.split(" ");
    const [to, from] = kind === "log" ? [Math.log, Math.exp] : [(value) => value, (value) => value];
    return { low: to(Number(low)), high: to(Number(high)), to, from, unit };
  };
  /** Round values between two values of an axis, at most seven. */
  const ticksOf = (axis, low, high) => {
    const rough = (high - low) / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    let step = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough * 0.999);
    if (axis.unit === "count") step = Math.max(1, Math.round(step));
    const found = [];
    for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(k * step);
    return found;
  };
  const moved = (svg, [x0, y0, x1, y1]) => {
    const [left, top, right, bottom] = svg.dataset.field.split(" ").map(Number);
    const x = (value) => left + ((value - x0) * (right - left)) / (x1 - x0);
    const y = (value) => top + ((value - y0) * (bottom - top)) / (y1 - y0);
    const is_whole = x0 === left && x1 === right && y0 === top && y1 === bottom;
    const pair = (text) => text.split(",").map(Number);
    for (const mark of all(svg, ".marks circle, .marks path, .marks polyline, .marks rect")) {
      const names = ["cx", "cy", "transform", "points", "x", "y", "width", "height"].filter((name) => mark.hasAttribute(name));
      if (!mark.first) mark.first = Object.fromEntries(names.map((name) => [name, mark.getAttribute(name)]));
      const first = mark.first;
      const set = (name, value) => mark.setAttribute(name, value);
      if (is_whole) {
        Object.entries(first).forEach(([name, value]) => set(name, value));
        continue;
      }
      if (first.cx) (set("cx", x(+first.cx)), set("cy", y(+first.cy)));
      if (first.transform) {
        const [across, down] = pair(first.transform.slice(10, -1));
        set("transform", `translate(${x(across)},${y(down)})`);
      }
      if (first.points) set("points", first.points.split(" ").map((point) => ((p) => `${x(p[0])},${y(p[1])}`)(pair(point))).join(" "));
      if (first.width) {
        (set("x", x(+first.x)), set("width", x(+first.x + +first.width) - x(+first.x)));
        (set("y", y(+first.y)), set("height", y(+first.y + +first.height) - y(+first.y)));
      }
    }
    const marks = svg.querySelector(".marks");
    const old = svg.querySelector(".ticks");
    all(svg, ".new").forEach((one) => one.remove());
    old.style.display = is_whole ? "" : "none";
    marks.style.clipPath = is_whole ? "" : `path("M${left},${top - 6}H${right + 6}V${bottom}H${left}Z") view-box`;
    if (is_whole) return;
    const fresh = old.cloneNode(false);
    fresh.classList.add("new");
    fresh.style.display = "";
    const [line, text] = ["polyline", "text"].map((name) => old.querySelector(name));
    const draw = (axis, place, [from, to], points, at, like) => {
      if (!axis || !text) return;
      const value = (pixel, [begin, end]) => axis.from(axis.low + ((pixel - begin) / (end - begin)) * (axis.high - axis.low));
      const range = place === x ? [left, right] : [bottom, top];
      for (const tick of ticksOf(axis, value(from, range), value(to, range))) {
        const pixel = place(range[0] + ((axis.to(tick) - axis.low) / (axis.high - axis.low)) * (range[1] - range[0]));
        const [grid, word] = [line.cloneNode(), like.cloneNode()];
        grid.setAttribute("points", points(pixel));
        at(word, pixel);
        word.textContent = texts[axis.unit](tick);
        fresh.append(grid, word);
      }
    };
    const like = (anchor) => old.querySelector(`text[text-anchor=${anchor}]`) || text;
    draw(axisOf(svg.dataset.x), x, [x0, x1], (at) => `${at},${bottom} ${at},${top}`, (word, at) => word.setAttribute("x", at), like("middle"));
    draw(axisOf(svg.dataset.y), y, [y1, y0], (at) => `${left},${at} ${right},${at}`, (word, at) => word.setAttribute("y", at), like("end"));
    old.after(fresh);
  };
  for (const svg of all(document, "svg[data-field]")) {
    const field = svg.dataset.field.split(" ").map(Number);
    let view = field;
    const place = (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      return [Math.min(Math.max(at.x, field[0]), field[2]), Math.min(Math.max(at.y, field[1]), field[3])];
    };
    svg.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "mouse" || event.button !== 0) return;
      event.preventDefault();
      const from = place(event);
      const box = document.createElementNS(svg.namespaceURI, "rect");
      box.classList.add("drag");
      svg.append(box);
      const range = (event) => {
        const to = place(event);
        const [x0, x1] = [from[0], to[0]].sort((a, b) => a - b);
        const [y0, y1] = svg.dataset.y ? [from[1], to[1]].sort((a, b) => a - b) : [field[1], field[3]];
        return [x0, y0, x1, y1];
      };
      const move = (event) => {
        const [x0, y0, x1, y1] = range(event);
        Object.entries({ x: x0, y: y0, width: x1 - x0, height: y1 - y0 }).forEach(([name, value]) => box.setAttribute(name, value));
      };
      const end = (event) => {
        removeEventListener("pointermove", move);
        box.remove();
        const [x0, y0, x1, y1] = range(event);
        if (x1 - x0 < 8 || y1 - y0 < 8) return;
        const [left, top, right, bottom] = view;
        const x = (at) => left + ((at - field[0]) / (field[2] - field[0])) * (right - left);
        const y = (at) => top + ((at - field[1]) / (field[3] - field[1])) * (bottom - top);
        view = [x(x0), y(y0), x(x1), y(y1)];
        moved(svg, view);
      };
      addEventListener("pointermove", move);
      addEventListener("pointerup", end, { once: true });
    });
    svg.addEventListener("dblclick", () => moved(svg, (view = field)));
  }
})();
