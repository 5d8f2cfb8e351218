"use strict";
// Draws the report's plots from the numbers embedded in this very file.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const numbers = (text) => Array.from(new Float32Array(bytes(text)), (v) => (Number.isNaN(v) ? null : v));
  const real = Array.from(new Float64Array(bytes(data.real)));
  const shrunk = Array.from(new Float64Array(bytes(data.shrunk)));
  const host = document.getElementById("plots");
  const button = document.getElementById("pauses");
  for (const plot of data.plots) for (const line of plot.series) line.values = numbers(line.data);

  let hide = data.hide;
  let charts = [];
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

  // Position of x among rising values, between points.
  function between(from, to, x) {
    let low = 0, high = from.length - 1;
    if (x <= from[0]) return to[0];
    if (x >= from[high]) return to[high];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (from[middle] <= x) low = middle; else high = middle;
    }
    const width = from[high] - from[low];
    return to[low] + (width > 0 ? (x - from[low]) / width : 0) * (to[high] - to[low]);
  }
  const place = (second) => (hide ? between(real, shrunk, second) : second);
  const second = (x) => (hide ? between(shrunk, real, x) : x);

  const two = (n) => String(n).padStart(2, "0");
  function stamp(s, fine) {
    if (data.start === null) {
      const t = Math.round(s * 10) / 10, h = Math.floor(t / 3600);
      return `${h}:${two(Math.floor(t / 60) % 60)}` + (fine ? `:${two(Math.floor(t % 60))}` : "");
    }
    const d = new Date((data.start + s) * 1000);
    const day = `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())}`;
    const time = `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}` + (fine ? `:${two(d.getUTCSeconds())}` : "");
    return `${day} ${time}`;
  }
  // Labels under the axis: the day only where it changes.
  function labels(u, splits) {
    const fine = u.scales.x.max - u.scales.x.min < 900;
    let day = "";
    return splits.map((x) => {
      const text = stamp(second(x), fine);
      if (data.start === null) return text;
      const [date, time] = text.split(" ");
      const shown = date === day ? time : `${time}\n${date}`;
      day = date;
      return shown;
    });
  }

  const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400,
    172800, 432000, 864000, 1728000, 4320000, 8640000];
  const sync = uPlot.sync("life");
  let zooming = false;
  function together(u) {
    if (zooming) return;
    zooming = true;
    const { min, max } = u.scales.x;
    for (const other of charts) if (other !== u) other.setScale("x", { min, max });
    zooming = false;
  }
  function frame(width, height, unit) {
    const axis = { stroke: colour("soft"), grid: { stroke: colour("grid"), width: 1 }, ticks: { stroke: colour("rule"), width: 1, size: 5 }, font: "12px system-ui, sans-serif" };
    return {
      width, height, padding: [10, 14, 0, 0],
      cursor: { sync: { key: sync.key, setSeries: false }, drag: { x: true, y: false, uni: 20 } },
      scales: { x: { time: false } },
      axes: [
        { ...axis, values: labels, incrs: STEPS, space: 90, size: data.start === null ? 32 : 46 },
        { ...axis, label: unit, labelFont: "12px system-ui, sans-serif", labelSize: 20, size: 56, space: 34 },
      ],
      hooks: { setScale: [(u, key) => { if (key === "x") together(u); }] },
    };
  }
  function box(title, unit) {
    const plot = document.createElement("div");
    plot.className = "plot";
    const head = document.createElement("h3");
    head.textContent = title;
    if (unit) { const small = document.createElement("span"); small.textContent = ` in ${unit}`; head.append(small); }
    plot.append(head);
    host.append(plot);
    return plot;
  }
  function draw(plot, width) {
    const how = frame(width, plot.id === "voltage" ? 270 : 210, plot.unit);
    const say = (v) => (v === null || v === undefined ? "–" : v.toFixed(plot.digits));
    how.series = [{ label: "time", value: (u, x) => (x === null || x === undefined ? "–" : stamp(second(x), true)) }];
    for (const line of plot.series) {
      how.series.push({
        label: line.label, stroke: colour(line.colour), width: line.thin ? 0.6 : 1.4, dash: line.dash ? [6, 4] : undefined,
        points: { show: false }, spanGaps: false, value: (u, v) => say(v),
      });
    }
    how.bands = plot.bands.map((pair) => ({ series: pair, fill: faint(how.series[pair[0]].stroke) }));
    charts.push(new uPlot(how, [hide ? shrunk : real, ...plot.series.map((line) => line.values)], box(plot.title, plot.unit)));
  }
  function faint(stroke) {
    return stroke + "33";
  }
  // One lane for each kind of fault, a bar from raised to gone.
  function timeline(width) {
    const lane = 24;
    const how = frame(width, data.lanes.length * lane + 60, "");
    how.axes[1] = { ...how.axes[1], label: " ", values: () => [], grid: { show: false }, ticks: { show: false } };
    how.scales.y = { range: [0, data.lanes.length] };
    how.legend = { show: false };
    how.series = [{}, { points: { show: false }, stroke: "transparent" }];
    how.hooks.draw = [(u) => {
      const pen = u.ctx, ratio = devicePixelRatio || 1, { left, top, width: w, height: h } = u.bbox, tall = h / data.lanes.length;
      pen.save();
      pen.beginPath(); pen.rect(left, top, w, h); pen.clip();
      pen.font = `${12 * ratio}px system-ui, sans-serif`;
      pen.textBaseline = "middle";
      pen.textAlign = "left";
      data.lanes.forEach((row, k) => {
        const y = top + k * tall;
        pen.fillStyle = colour(row.severity);
        for (const [begin, end] of row.bars) {
          const a = u.valToPos(place(begin), "x", true), b = u.valToPos(place(end), "x", true);
          pen.fillRect(a, y + tall * 0.62, Math.max(b - a, 3 * ratio), tall * 0.26);
        }
        pen.fillStyle = colour("ink");
        pen.fillText(`${row.name} · ${row.severity} · ${row.count}`, left + 6 * ratio, y + tall * 0.34);
      });
      pen.restore();
    }];
    const x = hide ? shrunk : real;
    charts.push(new uPlot(how, [x, x.map(() => null)], box("Events", "")));
  }
  function clear() {
    for (const chart of charts) { sync.unsub(chart); chart.destroy(); }
    charts = [];
    host.querySelectorAll(".plot").forEach((plot) => plot.remove());
  }
  // Draw everything anew, keeping what is zoomed to.
  function all(turn) {
    const span = charts.length > 0 ? [second(charts[0].scales.x.min), second(charts[0].scales.x.max)] : null;
    clear();
    if (turn === true) hide = !hide;
    const inner = getComputedStyle(host);
    const width = Math.floor(host.clientWidth - parseFloat(inner.paddingLeft) - parseFloat(inner.paddingRight));
    data.plots.forEach((plot, k) => { draw(plot, width); if (k === 0 && data.lanes.length > 0) timeline(width); });
    if (span) charts[0].setScale("x", { min: place(span[0]), max: place(span[1]) });
    button.hidden = data.pauses === 0;
    button.textContent = hide ? "Show pauses" : "Hide pauses";
    button.setAttribute("aria-pressed", String(hide));
  }
  button.addEventListener("click", () => all(true));
  let waiting = 0;
  const again = () => { clearTimeout(waiting); waiting = setTimeout(all, 120); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  let last = 0;
  new ResizeObserver(() => { if (host.clientWidth !== last) { last = host.clientWidth; again(); } }).observe(host);
  last = host.clientWidth;
  all();
})();
