// The graphs: what each draws for a family, what is under the mouse, and the
// same as a table.

const selected = { connection: 0, direction: null };

const flagNames = { S: 'SYN', F: 'FIN', R: 'RST', P: 'PSH', A: 'ACK', U: 'URG' };
const flags = f => [...f].map(letter => flagNames[letter]).join(' ') || 'no flags';

// connectionOf is the selected connection: the nth of each family.
const connectionOf = family => family.connections[selected.connection];

// endOf is when a connection has had its last segment: nothing of it is drawn
// behind that.
const endOf = connection => connection.segments.t.at(-1) ?? 0;

// within answers the items [time, ...] of a sorted list in a range.
function within(list, from, to) {
	const place = t => {
		let low = 0, high = list.length;
		while (low < high) { const m = (low + high) >> 1; if (list[m][0] < t) low = m + 1; else high = m; }
		return low;
	};
	const low = place(from), high = place(to + 1e-9);
	return low === 0 && high === list.length ? list : list.slice(low, high);
}

// Findings are flags above the graph, at their time.

const flagsOf = family => family.flags ??= data.findings.filter(f => f.family === family.family && f.at >= 0 && f.level !== 'fine').sort((a, b) => a.at - b.at);

function drawFlags(chart, ctx, family) {
	let last = -1e9;
	for (const f of flagsOf(family)) {
		const x = chart.x(f.at);
		if (f.at < chart.view.from || f.at > chart.view.to || x - last < 4) continue;
		last = x;
		ctx.fillStyle = f.level === 'problem' ? theme.red : theme.orange;
		ctx.beginPath();
		if (f.level === 'problem') { ctx.moveTo(x - 4.5, 2); ctx.lineTo(x + 4.5, 2); ctx.lineTo(x, 11); } else { ctx.moveTo(x, 2); ctx.lineTo(x + 4, 6.5); ctx.lineTo(x, 11); ctx.lineTo(x - 4, 6.5); }
		ctx.fill();
	}
}

function flagAt(chart, family, x) {
	const near = flagsOf(family).filter(f => Math.abs(chart.x(f.at) - x) < 7);
	if (!near.length) return null;
	return { t: near[0].at, v: 0, text: () => [`Found at ${moment(near[0].at)}`, ...near.map(f => f.text)] };
}

// Time and sequence numbers of one direction, as tcptrace draws them.

// sequenceOf sorts the segments of a connection into what is drawn.
function sequenceOf(connection) {
	const direction = selected.direction;
	connection.sequences ??= [null, null];
	if (connection.sequences[direction]) return connection.sequences[direction];
	const s = connection.segments, more = connection.more;
	const q = { data: [], again: [], late: [], sacks: [], letters: [], lost: [], shut: [], ackT: [], ack: [], edgeT: [], edge: [], top: 1 };
	for (let i = 0; i < s.t.length; i++) {
		const t = s.t[i], m = more[i], f = s.f[i];
		if (s.d[i] === direction) {
			const phantom = /[SF]/.test(f) ? 1 : 0, to = s.s[i] + s.l[i] + phantom;
			q.top = Math.max(q.top, to);
			if (s.l[i] > 0 || phantom) (m?.again ? q.again : q.data).push([t, s.s[i], to, i]);
			if (m?.late) q.late.push([t, to, i]);
			const letter = f.match(/[SFR]/);
			if (letter) q.letters.push([t, to, letter[0]]);
			continue;
		}
		if (!f.includes('A')) continue;
		q.ackT.push(t); q.ack.push(s.a[i]);
		q.edgeT.push(t); q.edge.push(s.a[i] + s.w[i]);
		if (s.w[i] === 0 && !/[SR]/.test(f)) q.shut.push([t, s.a[i], i]);
		for (const block of m?.sack ?? []) q.sacks.push([t, block[0], block[1], i]);
	}
	const lost = connection.lost;
	for (let i = 0; i < lost.t.length; i++) {
		if (lost.d[i] === direction && (lost.l[i] > 0 || /[SF]/.test(lost.f[i]))) q.lost.push([lost.t[i], lost.s[i] + lost.l[i] / 2, i]);
	}
	q.top = Math.max(q.top, q.ack.reduce((a, b) => Math.max(a, b), 0));
	return connection.sequences[direction] = q;
}

const sequence = {
	id: 'sequence', title: 'Time and sequence numbers', unit: 'bytes', height: 340,
	legend: [
		['segment', 'bar', 'blue'], ['sent again', 'diamond', 'red'], ['lost', 'cross', 'red'], ['acknowledged', 'line', 'green'],
		['edge of the window', 'dashes', 'orange'], ['SACK', 'bar', 'purple'], ['out of order', 'triangle', 'orange'], ['window closed', 'square', 'red'], ['SYN FIN RST', 'letter', 'text'], ['a finding', 'flag', 'orange'],
	],

	range(family, view) {
		const c = connectionOf(family);
		if (!c) return null;
		const q = sequenceOf(c);
		let low = Infinity, high = -Infinity;
		for (const list of [q.data, q.again]) for (const s of within(list, view.from, view.to)) { if (s[1] < low) low = s[1]; if (s[2] > high) high = s[2]; }
		const [a, b] = visible(q.ackT, view.from, view.to);
		for (let i = a; i < b; i++) {
			if (q.ackT[i] > view.to || i + 1 < b && q.ackT[i + 1] < view.from) continue;
			low = Math.min(low, q.ack[i]); high = Math.max(high, q.ack[i]);
		}
		if (low === Infinity) return [0, q.top];
		return [low, Math.max(high, low + 1)];
	},

	draw(chart, ctx, family) {
		const c = connectionOf(family);
		if (!c) return;
		const q = sequenceOf(c), from = chart.time(chart.left - 20), to = chart.view.to, all = list => within(list, from, to);
		chart.steps(q.edgeT, q.edge, { color: theme.orange, dash: [6, 4], width: 1.3, until: endOf(c) });
		chart.steps(q.ackT, q.ack, { color: theme.green, width: 1.6, until: endOf(c) });
		chart.bars(all(q.sacks), { color: theme.purple, width: 1.6 });
		chart.bars(all(q.data), { color: theme.blue, width: 2 });
		chart.bars(all(q.again), { color: theme.red, width: 2.4 });
		chart.marks(all(q.again).map(([t, , high]) => [t, high]), 'diamond', theme.red, 4);
		chart.marks(all(q.late), 'triangle', theme.orange, 4);
		chart.marks(all(q.lost), 'cross', theme.red, 4.5);
		chart.marks(all(q.shut), 'square', theme.red, 3.5);
		chart.letters(all(q.letters), theme.text);
		drawFlags(chart, ctx, family);
	},

	// hit is the segment, loss or acknowledgement next to a place.
	hit(family, chart, x, y) {
		const c = connectionOf(family);
		if (!c) return null;
		if (y < chart.top) return flagAt(chart, family, x);
		const s = c.segments, direction = selected.direction, reach = 24;
		let best = null;
		const offer = (distance, t, v, text) => { if (distance < reach && (!best || distance < best.distance)) best = { distance, t, v, text }; };
		const near = chart.time(x - reach), far = chart.time(x + reach);
		const first = lower(s.t, near), last = Math.min(lower(s.t, far), first + 20000);
		for (let i = first; i < last; i++) {
			const dx = Math.abs(chart.x(s.t[i]) - x);
			if (dx >= (best?.distance ?? reach)) continue;
			let low, high;
			if (s.d[i] === direction) [low, high] = [s.s[i], s.s[i] + s.l[i]]; else low = high = s.a[i];
			const yLow = chart.y(low), yHigh = chart.y(high), dy = y > yLow ? y - yLow : y < yHigh ? yHigh - y : 0;
			offer(Math.hypot(dx, dy), s.t[i], high, () => describe(c, i));
		}
		for (const [t, v, i] of within(sequenceOf(c).lost, near, far)) {
			offer(Math.hypot(chart.x(t) - x, chart.y(v) - y) - 2, t, v, () => describeLost(c, i));
		}
		return best;
	},

	now(family, t) {
		const c = connectionOf(family);
		if (!c) return '';
		const q = sequenceOf(c), i = lower(q.ackT, t + 1e-9) - 1;
		return i < 0 ? '' : `acknowledged ${group(q.ack[i])}`;
	},

	times: family => connectionOf(family)?.segments.t ?? [],

	table(family, view) {
		const head = [['time (ms)'], ['direction', 1], ['flags', 1], ['seq'], ['bytes'], ['ack'], ['window'], ['what of it', 1]];
		const c = connectionOf(family);
		if (!c) return { head, count: 0 };
		const s = c.segments, from = lower(s.t, view.from), to = lower(s.t, view.to + 1e-9);
		const row = i => [s.t[i].toFixed(3), s.d[i] ? 'received' : 'sent', flags(s.f[i]), group(s.s[i]), group(s.l[i]), s.f[i].includes('A') ? group(s.a[i]) : '', group(s.w[i]), remarks(c.more[i])];
		return { head, count: to - from, row: i => row(from + i) };
	},
};

// remarks are what is special about a segment, in words.
function remarks(m) {
	if (!m) return '';
	const words = [];
	if (m.again) words.push('sent again' + (m.cause ? ` (${m.cause})` : '') + (m.waited !== undefined ? ` after ${span(m.waited)}` : '') + (m.earlier ? `; before: ${m.earlier}` : ''));
	if (m.late) words.push('out of order');
	if (m.sack) words.push('SACK ' + m.sack.map(b => `${group(b[0])}–${group(b[1])}`).join(', '));
	if (m.mss) words.push(`MSS ${m.mss}`);
	if (m.selective) words.push('SACK permitted');
	if (m.scale !== undefined) words.push(`window scale ${m.scale}`);
	if (m.n) words.push(`${m.n} segments on the wire`);
	return words.join('; ');
}

function describe(c, i) {
	const s = c.segments, words = remarks(c.more[i]);
	return [`${s.d[i] ? 'Received' : 'Sent'} at ${moment(s.t[i])}: ${flags(s.f[i])}`,
		`seq ${group(s.s[i])}${s.l[i] ? ` to ${group(s.s[i] + s.l[i])}, ${group(s.l[i])} bytes` : ', no data'}`,
		(s.f[i].includes('A') ? `ack ${group(s.a[i])}, ` : '') + `window ${group(s.w[i])}`, ...(words ? [words] : [])];
}

function describeLost(c, i) {
	const l = c.lost;
	return [`Lost at ${moment(l.t[i])} on the way ${l.d[i] ? 'in' : 'out'}: ${flags(l.f[i])}`, `seq ${group(l.s[i])} to ${group(l.s[i] + l.l[i])}, ${group(l.l[i])} bytes`, l.r[i]];
}

// nearest is the place in a column of what held at x, for graphs whose values
// hold until the next one; -1: nothing yet.
const nearest = (times, chart, x) => lower(times, chart.time(x) + 1e-9) - 1;

// flightOf is how many bytes that were sent are not acknowledged, after each
// segment that changes it: the sender's own number is known only when something
// comes in.
function flightOf(c) {
	if (c.flight) return c.flight;
	const s = c.segments, flight = { t: [], v: [] };
	let sent = 0, acked = s.s[s.d.indexOf(0)] ?? 0;
	for (let i = 0; i < s.t.length; i++) {
		if (s.d[i] === 0) sent = Math.max(sent, s.s[i] + s.l[i]);
		else if (s.f[i].includes('A')) acked = Math.max(acked, Math.min(s.a[i], sent));
		const v = Math.max(0, sent - acked);
		if (v !== flight.v[flight.v.length - 1]) { flight.t.push(s.t[i]); flight.v.push(v); }
	}
	return c.flight = flight;
}

const congestionWindow = {
	id: 'window', title: 'Congestion window', unit: 'bytes', height: 190,
	legend: [['congestion window', 'line', 'blue'], ['ssthresh', 'dashes', 'orange'], ['in flight', 'area', 'green']],

	range(family, view) {
		const w = connectionOf(family)?.window;
		if (!w || !w.t.length) return null;
		const [a, b] = visible(w.t, view.from, view.to);
		let high = 1;
		for (let i = a; i < b; i++) high = Math.max(high, w.c[i]);
		const flight = flightOf(connectionOf(family)), [from, to] = visible(flight.t, view.from, view.to);
		for (let i = from; i < to; i++) high = Math.max(high, flight.v[i]);
		let threshold = 0; // it may be far above, and is shown only as far as that is of use
		for (let i = a; i < b; i++) if (w.h[i] !== null && w.h[i] < 2 * high) threshold = Math.max(threshold, w.h[i]);
		return [0, Math.max(high, threshold) * 1.05];
	},

	draw(chart, ctx, family) {
		const c = connectionOf(family), w = c?.window;
		if (!w) return;
		const until = endOf(c), flight = flightOf(c);
		chart.area(flight.t, flight.v, { fill: hatch(ctx, theme.green, 'rising'), color: theme.green, until });
		chart.steps(w.t, w.h, { color: theme.orange, dash: [6, 4], until });
		chart.steps(w.t, w.c, { color: theme.blue, width: 2, until });
	},

	hit(family, chart, x) {
		const w = connectionOf(family)?.window, i = w ? nearest(w.t, chart, x) : -1;
		if (i < 0) return null;
		return { t: w.t[i], v: w.c[i], text: () => [`From ${moment(w.t[i])} on: ${w.st[i]}`, `congestion window ${group(w.c[i])} bytes`, `ssthresh ${w.h[i] === null ? 'none yet' : group(w.h[i]) + ' bytes'}`, `in flight ${group(w.i[i])} bytes, as the sender counts`] };
	},

	now(family, t) {
		const c = connectionOf(family), w = c?.window, i = w ? lower(w.t, t + 1e-9) - 1 : -1;
		if (i < 0) return '';
		const flight = flightOf(c), f = lower(flight.t, t + 1e-9) - 1;
		return `cwnd ${group(w.c[i])}, in flight ${group(f < 0 ? 0 : flight.v[f])}`;
	},

	times: family => connectionOf(family)?.window.t ?? [],

	table(family, view) {
		const w = connectionOf(family)?.window, head = [['time (ms)'], ['state', 1], ['cwnd'], ['ssthresh'], ['in flight']];
		if (!w) return { head, count: 0 };
		const from = lower(w.t, view.from), to = lower(w.t, view.to + 1e-9);
		return { head, count: to - from, row: n => { const i = from + n; return [w.t[i].toFixed(3), w.st[i], group(w.c[i]), w.h[i] === null ? '' : group(w.h[i]), group(w.i[i])]; } };
	},
};

const roundTrip = {
	id: 'rtt', title: 'Round trip and timeout', unit: 'ms', height: 170, log: true,
	legend: [['smoothed round trip', 'line', 'blue'], ['± its variation', 'area', 'blue'], ['retransmission timeout', 'dashes', 'red']],

	range(family, view) {
		const w = connectionOf(family)?.window;
		if (!w || !w.t.length) return null;
		let low = Infinity, high = 0;
		const [a, b] = visible(w.t, view.from, view.to);
		for (let i = a; i < b; i++) {
			if (w.r[i] !== null) { low = Math.min(low, w.r[i]); high = Math.max(high, w.r[i] + (w.v[i] ?? 0)); }
			high = Math.max(high, w.o[i]);
		}
		if (low === Infinity) low = high / 10;
		return [Math.max(low / 2, 0.001), Math.max(high * 1.4, 0.01)];
	},

	draw(chart, ctx, family) {
		const c = connectionOf(family), w = c?.window;
		if (!w) return;
		const until = endOf(c), [a, b] = visible(w.t, chart.view.from, chart.view.to);
		ctx.fillStyle = hatch(ctx, theme.blue, 'dotted');
		let column = -1e9;
		for (let i = a; i < b; i++) {
			if (w.r[i] === null) continue;
			const x0 = chart.x(w.t[i]), x1 = chart.x(Math.min(w.t[i + 1] ?? until, chart.view.to));
			if (x1 < column + 0.5) continue;
			column = x1;
			const v = w.v[i] ?? 0, y0 = chart.y(w.r[i] + v), y1 = chart.y(Math.max(w.r[i] - v, chart.scale[0]));
			ctx.fillRect(x0, y0, Math.max(x1 - x0, 0.5), y1 - y0);
		}
		chart.steps(w.t, w.o, { color: theme.red, dash: [6, 4], until });
		chart.steps(w.t, w.r, { color: theme.blue, width: 2, until });
	},

	hit(family, chart, x) {
		const w = connectionOf(family)?.window, i = w ? nearest(w.t, chart, x) : -1;
		if (i < 0) return null;
		return { t: w.t[i], v: w.r[i] ?? w.o[i], text: () => [`From ${moment(w.t[i])} on`, w.r[i] === null ? 'not measured yet' : `smoothed round trip ${span(w.r[i])} ± ${span(w.v[i] ?? 0)}`, `retransmission timeout ${span(w.o[i])}`] };
	},

	now(family, t) {
		const w = connectionOf(family)?.window, i = w ? lower(w.t, t + 1e-9) - 1 : -1;
		return i < 0 || w.r[i] === null ? '' : `srtt ${span(w.r[i])}, rto ${span(w.o[i])}`;
	},

	times: family => connectionOf(family)?.window.t ?? [],

	table(family, view) {
		const w = connectionOf(family)?.window, head = [['time (ms)'], ['srtt (ms)'], ['rttvar (ms)'], ['rto (ms)']], ms = v => v === null ? '' : v.toFixed(3);
		if (!w) return { head, count: 0 };
		const from = lower(w.t, view.from), to = lower(w.t, view.to + 1e-9);
		return { head, count: to - from, row: n => { const i = from + n; return [ms(w.t[i]), ms(w.r[i]), ms(w.v[i]), ms(w.o[i])]; } };
	},
};

// A pool: who has its packets, stacked, and the requests that found none.

const places = [['application', 'blue', 'rising'], ['transmit queue', 'orange', 'falling'], ['receive queue', 'green', 'crossed'], ['driver', 'grey', 'dotted']];

function poolGraph(name) {
	const of = family => family.pools.find(p => p.name === name);
	return {
		id: 'pool-' + name, title: 'Packets of the pool “' + name + '”', unit: 'packets', height: 170,
		legend: [...places.map(([place, color, kind]) => [place, 'area ' + kind, color]), ['most in use', 'dots', 'text'], ['all packets', 'line', 'dim'], ['a caller waits: none free', 'triangle', 'red']],

		range(family) {
			const p = of(family);
			return p ? [0, p.packets * 1.1] : null;
		},

		draw(chart, ctx, family) {
			const p = of(family);
			if (!p) return;
			const [a, b] = visible(p.t, chart.view.from, chart.view.to), end = Math.min(family.end, chart.view.to);
			const bottom = new Float64Array(b - a);
			for (let k = 0; k < p.kinds.length; k++) {
				const [, color, kind] = places[k];
				ctx.fillStyle = hatch(ctx, theme[color], kind);
				ctx.strokeStyle = theme[color];
				ctx.lineWidth = 1;
				// One rectangle for each time that it holds, joined to whole pixels.
				let x = null, y0 = 0, y1 = 0;
				const flush = to => { if (x !== null && y0 > y1) { ctx.fillRect(x, y1, Math.max(to - x, 1), y0 - y1); ctx.beginPath(); ctx.moveTo(x, y1); ctx.lineTo(Math.max(to, x + 1), y1); ctx.stroke(); } };
				for (let i = a; i < b; i++) {
					const held = p.held[k][i], low = bottom[i - a];
					bottom[i - a] = low + held;
					const at = chart.x(p.t[i]);
					if (x !== null && at - x < 1 && i + 1 < b) { // the highest of a pixel is what matters
						if (chart.y(low + held) < y1) { y0 = chart.y(low); y1 = chart.y(low + held); }
						continue;
					}
					flush(at);
					x = at; y0 = chart.y(low); y1 = chart.y(low + held);
				}
				flush(chart.x(end));
			}
			chart.steps(p.t, p.low.map(v => p.packets - v), { color: theme.text, dash: [1.5, 2.5], width: 1, until: family.end });
			ctx.strokeStyle = theme.dim;
			ctx.lineWidth = 1;
			ctx.beginPath(); ctx.moveTo(chart.left, chart.y(p.packets)); ctx.lineTo(chart.width - chart.right, chart.y(p.packets)); ctx.stroke();
			const waits = p.empty.filter(e => e.t >= chart.view.from && e.t - e.w <= chart.view.to), top = chart.y(p.packets);
			ctx.strokeStyle = theme.red;
			ctx.lineWidth = 3;
			ctx.beginPath();
			for (const e of waits) { ctx.moveTo(chart.x(e.t - e.w), top); ctx.lineTo(Math.max(chart.x(e.t), chart.x(e.t - e.w) + 1), top); }
			ctx.stroke();
			chart.marks(waits.map(e => [e.t - e.w, p.packets]), 'triangle', theme.red, 3.5, 12);
		},

		hit(family, chart, x, y) {
			const p = of(family);
			if (!p) return null;
			if (Math.abs(y - chart.y(p.packets)) < 9) {
				const e = p.empty.find(e => chart.x(e.t - e.w) - 5 <= x && x <= chart.x(e.t) + 5);
				if (e) return { t: e.t, v: p.packets, text: () => [`Empty from ${moment(Math.max(0, e.t - e.w))} on`, `a caller waited ${span(e.w)}` + (e.served ? '' : ' and got none')] };
			}
			const i = nearest(p.t, chart, x);
			if (i < 0) return null;
			return { t: p.t[i], v: p.packets - p.free[i], text: () => [`From ${moment(p.t[i])} on: ${p.free[i]} of ${p.packets} free`, `${p.low[i]} at least since the time before`, ...p.kinds.map((kind, k) => [kind, p.held[k][i]]).filter(h => h[1] > 0).map(h => `${h[0]}: ${h[1]}`)] };
		},

		now(family, t) {
			const p = of(family), i = p ? lower(p.t, t + 1e-9) - 1 : -1;
			return i < 0 ? '' : `${p.free[i]} of ${p.packets} free`;
		},

		times: family => of(family)?.t ?? [],

		table(family, view) {
			const p = of(family), head = [['time (ms)'], ['free'], ['lowest'], ...places.map(x => [x[0]])];
			if (!p) return { head, count: 0 };
			const from = lower(p.t, view.from), to = lower(p.t, view.to + 1e-9);
			return { head, count: to - from, row: n => { const i = from + n; return [p.t[i].toFixed(3), p.free[i], p.low[i], ...p.held.map(h => h[i])]; } };
		},
	};
}

// The dialogue, on the same axis of time: commands go up to the server, replies
// come down.

const ladder = {
	id: 'ladder', title: 'SMTP dialogue', height: 210, noValues: true,
	legend: [['command', 'up', 'blue'], ['reply', 'down', 'green'], ['refusal', 'down', 'red']],
	range: family => family.dialogue.length ? [0, 1] : null,

	draw(chart, ctx, family) {
		const top = chart.top + 16, base = chart.height - chart.bottom - 16;
		ctx.strokeStyle = theme.line;
		ctx.lineWidth = 1;
		ctx.beginPath();
		for (const y of [top, base]) { ctx.moveTo(chart.left, y); ctx.lineTo(chart.width - chart.right, y); }
		ctx.stroke();
		ctx.font = '11px system-ui, "DejaVu Sans", sans-serif';
		ctx.textBaseline = 'middle';
		ctx.textAlign = 'left';
		const slots = new Array(8).fill(-1e9), texts = [];
		let column = [-1e9, -1e9];
		for (const d of family.dialogue) {
			if (d.t < chart.view.from || d.t > chart.view.to) continue;
			const x = chart.x(d.t);
			if (x - column[d.d] < 1) continue;
			column[d.d] = x;
			ctx.strokeStyle = ctx.fillStyle = dialogueColor(d);
			ctx.lineWidth = 1.4;
			ctx.beginPath(); ctx.moveTo(x, top); ctx.lineTo(x, base); ctx.stroke();
			const tip = d.d ? base : top, back = d.d ? -6 : 6;
			ctx.beginPath(); ctx.moveTo(x, tip); ctx.lineTo(x - 3.5, tip + back); ctx.lineTo(x + 3.5, tip + back); ctx.closePath(); ctx.fill();
			// Commands have the upper rows, replies the lower ones.
			const label = dialogueLabel(d), width = ctx.measureText(label).width;
			for (let n = 0; n < 4; n++) {
				const slot = d.d * 4 + n;
				if (x < slots[slot] + 8 || x + 5 + width > chart.width - 2 && n < 3) continue;
				if (x + 5 + width > chart.width - 2) break;
				slots[slot] = x + 5 + width;
				texts.push([label, x + 5, top + 14 + slot * (base - top - 24) / 7.2, width, dialogueColor(d)]);
				break;
			}
		}
		for (const [label, x, y, width, color] of texts) {
			ctx.fillStyle = theme.panel;
			ctx.fillRect(x - 2, y - 7, width + 4, 14);
			ctx.fillStyle = color;
			ctx.fillText(label, x, y);
		}
		ctx.fillStyle = theme.dim;
		ctx.fillText('server', chart.left + 3, top - 9);
		ctx.fillText('client', chart.left + 3, base + 9);
	},

	hit(family, chart, x) {
		let best = null;
		for (const d of family.dialogue) {
			const distance = Math.abs(chart.x(d.t) - x);
			if (distance < 12 && (!best || distance < best.distance)) best = { distance, t: d.t, v: 0.5, text: () => [`${d.d ? 'Reply' : 'Command'} at ${moment(d.t)}, phase ${d.p}`, dialogueText(d), `${group(d.b)} bytes`] };
		}
		return best;
	},

	now(family, t) {
		const before = family.dialogue.filter(d => d.t <= t).pop();
		return before ? before.p : '';
	},

	times: family => family.dialogue.map(d => d.t),

	table(family, view) {
		const list = family.dialogue.filter(d => d.t >= view.from && d.t <= view.to);
		return { head: [['time (ms)'], ['direction', 1], ['phase', 1], ['text', 1], ['bytes']], count: list.length, row: i => { const d = list[i]; return [d.t.toFixed(3), d.d ? 'reply' : 'command', d.p, dialogueText(d), group(d.b)]; } };
	},
};

const dialogueColor = d => d.d ? d.c >= 400 ? theme.red : theme.green : theme.blue;
const dialogueText = d => (d.c ? d.c + ' ' : '') + (d.x || (d.d ? '' : 'the message'));

function dialogueLabel(d) {
	const text = dialogueText(d);
	return text.length > 26 ? text.slice(0, 25) + '…' : text;
}
