// A chart is one canvas: the axes, what its graph draws, and the cursor. All
// charts have one time axis, and those of a graph have one value axis.

const theme = {};

function readTheme() {
	const style = getComputedStyle(document.documentElement);
	for (const name of ['back', 'panel', 'text', 'dim', 'line', 'grid', 'blue', 'green', 'orange', 'red', 'purple', 'sky', 'grey', 'fill']) {
		theme[name] = style.getPropertyValue('--' + name).trim();
	}
	patterns.clear();
}

// Places of a sorted column.

// lower answers the first place whose value is not less than v.
function lower(column, v) {
	let from = 0, to = column.length;
	while (from < to) {
		const middle = (from + to) >> 1;
		if (column[middle] < v) from = middle + 1; else to = middle;
	}
	return from;
}

// visible answers the places in a range of time, with one more at each side.
function visible(times, from, to) {
	return [Math.max(0, lower(times, from) - 1), Math.min(times.length, lower(times, to) + 1)];
}

// Numbers in words.

function group(n) { return Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, '\u202f'); }

function span(ms) {
	if (ms === 0) return '0 ms';
	if (ms >= 10000) return (ms / 1000).toFixed(1) + ' s';
	if (ms >= 1000) return (ms / 1000).toFixed(2) + ' s';
	if (ms >= 100) return ms.toFixed(0) + ' ms';
	if (ms >= 1) return ms.toFixed(1) + ' ms';
	return (ms * 1000).toFixed(0) + ' µs';
}

function moment(ms) { return ms.toFixed(3) + ' ms'; }

// ticks are round numbers in a range, about as many as wanted.
function ticks(from, to, wanted) {
	const raw = (to - from) / Math.max(1, wanted);
	if (!(raw > 0)) return [from];
	const power = Math.pow(10, Math.floor(Math.log10(raw)));
	const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= raw);
	const list = [];
	for (let v = Math.ceil(from / step) * step; v <= to + step * 1e-9; v += step) list.push(Math.abs(v) < step * 1e-9 ? 0 : v);
	return list;
}

function logTicks(from, to) {
	const list = [];
	for (let power = Math.floor(Math.log10(from)); power <= Math.ceil(Math.log10(to)); power++) {
		for (const m of [1, 2, 5]) {
			const v = m * Math.pow(10, power);
			if (v >= from && v <= to) list.push(v);
		}
	}
	return list;
}

function timeLabel(ms, step) {
	const seconds = step >= 1000 || ms >= 100000 && step >= 100;
	const v = seconds ? ms / 1000 : ms, s = seconds ? step / 1000 : step;
	const digits = Math.max(0, Math.min(3, -Math.floor(Math.log10(s) + 1e-9)));
	return v.toFixed(digits) + (seconds ? ' s' : ' ms');
}

function valueLabel(v, unit) {
	if (unit === 'ms') return v >= 1000 ? v / 1000 + ' s' : +v.toPrecision(3) + ' ms';
	if (v >= 1e6) return +(v / 1e6).toPrecision(4) + ' M';
	if (v >= 10000) return +(v / 1e3).toPrecision(4) + ' k';
	return '' + +v.toPrecision(6);
}

// Hatchings, so that areas differ without their colours.

const patterns = new Map();

function hatch(ctx, color, kind) {
	const key = color + kind;
	if (patterns.has(key)) return patterns.get(key);
	const tile = document.createElement('canvas');
	tile.width = tile.height = 8;
	const t = tile.getContext('2d');
	t.fillStyle = color;
	t.globalAlpha = 0.3;
	t.fillRect(0, 0, 8, 8);
	t.globalAlpha = 0.9;
	t.strokeStyle = color;
	t.lineWidth = 1.2;
	t.beginPath();
	if (kind === 'rising' || kind === 'crossed') { t.moveTo(-1, 9); t.lineTo(9, -1); t.moveTo(-2, 2); t.lineTo(2, -2); t.moveTo(6, 10); t.lineTo(10, 6); }
	if (kind === 'falling' || kind === 'crossed') { t.moveTo(-1, -1); t.lineTo(9, 9); t.moveTo(-2, 6); t.lineTo(2, 10); t.moveTo(6, -2); t.lineTo(10, 2); }
	if (kind === 'dotted') { t.moveTo(3, 4); t.lineTo(5, 4); }
	t.stroke();
	const pattern = ctx.createPattern(tile, 'repeat');
	patterns.set(key, pattern);
	return pattern;
}

// Shapes, for marks in charts and in legends: each is told from the others
// without its colour.
const shapes = {
	diamond(c, x, y, r) { c.beginPath(); c.moveTo(x, y - r); c.lineTo(x + r, y); c.lineTo(x, y + r); c.lineTo(x - r, y); c.closePath(); c.fill(); },
	cross(c, x, y, r) { c.beginPath(); c.moveTo(x - r, y - r); c.lineTo(x + r, y + r); c.moveTo(x - r, y + r); c.lineTo(x + r, y - r); c.stroke(); },
	triangle(c, x, y, r) { c.beginPath(); c.moveTo(x, y - r); c.lineTo(x + r, y + r); c.lineTo(x - r, y + r); c.closePath(); c.stroke(); },
	square(c, x, y, r) { c.beginPath(); c.rect(x - r, y - r, 2 * r, 2 * r); c.stroke(); },
};

class Chart {
	constructor(graph, family, view) {
		Object.assign(this, { graph, family, view });
		this.canvas = document.createElement('canvas');
		this.still = document.createElement('canvas'); // what does not move with the mouse
		this.canvas.tabIndex = 0;
		this.canvas.setAttribute('role', 'img');
		this.height = graph.height;
		this.canvas.style.height = this.height + 'px';
		this.left = 58;
		this.right = 10;
		this.top = 14;
		this.bottom = 22;
	}

	get plotWidth() { return Math.max(10, this.width - this.left - this.right); }
	get plotHeight() { return this.height - this.top - this.bottom; }
	x(t) { return this.left + (t - this.view.from) / (this.view.to - this.view.from) * this.plotWidth; }
	time(x) { return this.view.from + (x - this.left) / this.plotWidth * (this.view.to - this.view.from); }

	y(v) {
		const [low, high] = this.scale;
		const share = this.graph.log ? Math.log(Math.max(v, low) / low) / Math.log(high / low) : (v - low) / (high - low);
		return this.top + this.plotHeight * (1 - share);
	}

	// resize follows the page; it answers whether the size has changed.
	resize() {
		this.width = this.canvas.clientWidth;
		const ratio = window.devicePixelRatio || 1;
		const w = Math.round(this.width * ratio), h = Math.round(this.height * ratio);
		if (this.canvas.width === w && this.canvas.height === h) return false;
		for (const c of [this.canvas, this.still]) { c.width = w; c.height = h; }
		this.ratio = ratio;
		return true;
	}

	// draw draws the chart anew when something of it has changed, and otherwise
	// only what moves with the mouse, over the picture of the time before.
	draw(scale, cursor, brush, changed) {
		if (changed || !this.scale) this.scale = scale;
		changed = this.resize() || changed;
		if (this.width <= 0) return;
		if (changed) {
			const c = this.ctx = this.still.getContext('2d');
			c.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
			c.clearRect(0, 0, this.width, this.height);
			this.axes();
			c.save();
			this.clip();
			this.graph.draw(this, c, this.family);
			c.restore();
		}
		const c = this.ctx = this.canvas.getContext('2d');
		c.setTransform(1, 0, 0, 1, 0, 0);
		c.clearRect(0, 0, this.canvas.width, this.canvas.height);
		c.drawImage(this.still, 0, 0);
		c.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
		c.save();
		this.clip();
		if (brush) {
			const a = this.x(brush[0]), b = this.x(brush[1]);
			c.fillStyle = theme.blue;
			c.globalAlpha = 0.15;
			c.fillRect(Math.min(a, b), this.top, Math.abs(b - a), this.plotHeight);
			c.globalAlpha = 1;
		}
		if (cursor !== null) {
			c.strokeStyle = theme.dim;
			c.lineWidth = 1;
			c.setLineDash([2, 3]);
			this.vertical(cursor);
			c.setLineDash([]);
		}
		c.restore();
	}

	clip() {
		this.ctx.beginPath();
		this.ctx.rect(this.left, 0, this.plotWidth + this.right, this.height - this.bottom);
		this.ctx.clip();
	}

	vertical(t) {
		const x = Math.round(this.x(t)) + 0.5;
		this.ctx.beginPath();
		this.ctx.moveTo(x, this.top);
		this.ctx.lineTo(x, this.height - this.bottom);
		this.ctx.stroke();
	}

	axes() {
		const c = this.ctx, base = this.height - this.bottom;
		c.font = '11px system-ui, "DejaVu Sans", sans-serif';
		c.fillStyle = theme.dim;
		c.strokeStyle = theme.grid;
		c.lineWidth = 1;
		const times = ticks(this.view.from, this.view.to, this.plotWidth / 85);
		const step = times.length > 1 ? times[1] - times[0] : this.view.to - this.view.from;
		c.textAlign = 'center';
		c.textBaseline = 'top';
		for (const t of times) {
			const x = Math.round(this.x(t)) + 0.5;
			c.beginPath(); c.moveTo(x, this.top); c.lineTo(x, base); c.stroke();
			const label = timeLabel(t, step), half = c.measureText(label).width / 2;
			c.fillText(label, Math.min(Math.max(x, half + 2), this.width - half - 2), base + 5);
		}
		if (!this.graph.noValues) {
			c.textAlign = 'right';
			c.textBaseline = 'middle';
			const values = this.graph.log ? logTicks(...this.scale) : ticks(...this.scale, this.plotHeight / 34);
			for (const v of values) {
				const y = Math.round(this.y(v)) + 0.5;
				c.beginPath(); c.moveTo(this.left, y); c.lineTo(this.width - this.right, y); c.stroke();
				c.fillText(valueLabel(v, this.graph.unit), this.left - 6, y);
			}
		}
		c.strokeStyle = theme.line;
		c.beginPath(); c.moveTo(this.left + 0.5, this.top); c.lineTo(this.left + 0.5, base + 0.5); c.lineTo(this.width - this.right, base + 0.5); c.stroke();
	}

	// steps draws a value that holds until the next one. Where there are more
	// values than pixels, a pixel shows the lowest and the highest of its own.
	steps(times, values, { color, dash = [], width = 1.6, until }) {
		const c = this.ctx;
		c.strokeStyle = color;
		c.lineWidth = width;
		c.setLineDash(dash);
		c.beginPath();
		this.trace(times, values, until);
		c.stroke();
		c.setLineDash([]);
	}

	trace(times, values, until) {
		const c = this.ctx, [from, to] = visible(times, this.view.from, this.view.to);
		const dense = to - from > 2 * this.plotWidth;
		let open = false, lastY = 0, column = -1, low = 0, high = 0;
		const flush = () => {
			if (column < 0) return;
			c.lineTo(column, low); c.lineTo(column, high); c.lineTo(column, lastY);
			column = -1;
		};
		for (let i = from; i < to; i++) {
			const v = values[i];
			if (v === null || v === undefined) { flush(); open = false; continue; }
			const x = this.x(times[i]), y = this.y(v);
			if (!open) { flush(); c.moveTo(x, y); open = true; lastY = y; continue; }
			if (!dense) { c.lineTo(x, lastY); c.lineTo(x, y); lastY = y; continue; }
			const at = Math.round(x);
			if (at !== column) {
				flush();
				c.lineTo(at, lastY);
				column = at;
				low = high = y;
			}
			low = Math.min(low, y); high = Math.max(high, y);
			lastY = y;
		}
		flush();
		if (open) c.lineTo(this.x(Math.min(until ?? this.view.to, this.view.to)), lastY);
	}

	// area is steps, filled down to zero.
	area(times, values, { fill, color, until }) {
		if (!times.length) return;
		const c = this.ctx, [from] = visible(times, this.view.from, this.view.to), base = this.y(0);
		c.beginPath();
		this.trace(times, values, until);
		c.lineTo(this.x(Math.min(until, this.view.to)), base);
		c.lineTo(this.x(times[from]), base);
		c.closePath();
		c.fillStyle = fill;
		c.fill();
		this.steps(times, values, { color, width: 1, until });
	}

	// bars draws pieces of the value axis, each at its moment. Where there are
	// several in a pixel, it shows from the lowest to the highest.
	bars(list, { color, width = 2, caps = true }) {
		const c = this.ctx;
		c.strokeStyle = color;
		c.lineWidth = width;
		c.setLineDash([]);
		c.beginPath();
		const dense = list.length > this.plotWidth;
		let column = null, low = 0, high = 0;
		const flush = () => { if (column !== null) { c.moveTo(column, low); c.lineTo(column, Math.min(high, low - 1.5)); } };
		for (const [t, from, to] of list) {
			const x = this.x(t), y0 = this.y(from), y1 = this.y(to);
			if (!dense) {
				c.moveTo(x, y0); c.lineTo(x, Math.min(y1, y0 - 1.5));
				if (caps && y0 - y1 > 4) { c.moveTo(x - 2.5, y0); c.lineTo(x + 2.5, y0); c.moveTo(x - 2.5, y1); c.lineTo(x + 2.5, y1); }
				continue;
			}
			const at = Math.round(x);
			if (at !== column) { flush(); column = at; low = y0; high = y1; continue; }
			low = Math.max(low, y0); high = Math.min(high, y1);
		}
		if (dense) flush();
		c.stroke();
	}

	// marks draws a shape at each place, one for a spot of some pixels.
	marks(list, shape, color, r = 4, spread = 3) {
		const c = this.ctx, taken = new Set(), crowded = list.length > this.plotWidth / 5;
		if (crowded) { r *= 0.6; spread *= 2; }
		c.fillStyle = c.strokeStyle = color;
		c.lineWidth = crowded ? 1.2 : 1.8;
		for (const [t, v] of list) {
			const x = this.x(t), y = this.y(v), spot = Math.round(x / spread) * 65536 + Math.round(y / spread);
			if (taken.has(spot)) continue;
			taken.add(spot);
			shapes[shape](c, x, y, r);
		}
	}

	letters(list, color) {
		const c = this.ctx;
		c.fillStyle = color;
		c.font = 'bold 11px ui-monospace, "DejaVu Sans Mono", monospace';
		c.textAlign = 'center';
		c.textBaseline = 'bottom';
		let right = -1e9;
		for (const [t, v, text] of list) {
			const x = this.x(t), w = c.measureText(text).width;
			if (x - w / 2 < right + 2) continue;
			right = x + w / 2;
			c.fillText(text, Math.min(x, this.width - w / 2 - 1), Math.max(this.y(v) - 5, 11));
		}
	}
}
