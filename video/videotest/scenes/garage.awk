# An underground garage: parked cars between columns, one that comes in with its
# lights on, a lamp that is about to fail.

function title() { return "地下车库" }
function seconds() { return 8 }

function px(x, z) { return 320 + 300 * x / z }
function py(h, z) { return 128 + (190 - 230 * h) / z }
function quad(x1, h1, z1, x2, h2, z2, x3, h3, z3, x4, h4, z4, fill, more) {
	poly(sprintf("%.1f,%.1f %.1f,%.1f %.1f,%.1f %.1f,%.1f", px(x1, z1), py(h1, z1), px(x2, z2), py(h2, z2), px(x3, z3), py(h3, z3), px(x4, z4), py(h4, z4)), fill, more)
}

function column(x, z, name) {
	quad(x - .13, 0, z, x + .13, 0, z, x + .13, 1, z, x - .13, 1, z, "#7b8084")
	quad(x + .13, 0, z, x + .13, 0, z * 1.12, x + .13, 1, z * 1.12, x + .13, 1, z, "#5a5f63")
	quad(x - .13, 0, z, x - .13, 0, z * 1.12, x - .13, 1, z * 1.12, x - .13, 1, z, "#666b6f")
	quad(x - .13, .02, z, x + .13, .02, z, x + .13, .3, z, x - .13, .3, z, "#d9b12b")
	quad(x - .13, .09, z, x + .13, .16, z, x + .13, .22, z, x - .13, .15, z, "#25272a")
	text(px(x, z), py(.55, z), 34 / z, "#e8eaec", name, "text-anchor='middle' font-weight='bold'")
}

# back is a parked car seen from behind.
function back(x, z, body,  s) {
	s = .95 / z
	ellipse(px(x, z), py(0, z) + 1, 92 * s, 9 * s, "#000", "opacity='.55'")
	group(sprintf("transform='translate(%.2f %.2f) scale(%.4f)'", px(x, z), py(0, z), s))
	rect(-76, -16, 26, 17, "#0d0e0f", "rx='4'"); rect(50, -16, 26, 17, "#0d0e0f", "rx='4'")
	put(sprintf("<path d='M-80 -10 Q-84 -48 -68 -58 L-52 -96 Q0 -106 52 -96 L68 -58 Q84 -48 80 -10 Z' fill='%s'/>", body))
	put("<path d='M-56 -62 L-45 -91 Q0 -99 45 -91 L56 -62 Z' fill='#141b20'/>")
	rect(-78, -52, 24, 12, "#7c1b16", "rx='3'"); rect(54, -52, 24, 12, "#7c1b16", "rx='3'"); rect(-24, -40, 48, 13, "#214a8e", "rx='1'")
	put("<path d='M-80 -22 L80 -22 L79 -10 L-79 -10 Z' fill='#000' opacity='.35'/>")
	end()
}

function background(  z, i) {
	put("<defs><linearGradient id='floor' x1='0' y1='0' x2='0' y2='1'><stop offset='0' stop-color='#3a4044'/><stop offset='1' stop-color='#596166'/></linearGradient>")
	put("<radialGradient id='pool'><stop offset='0' stop-color='#e6f1f4' stop-opacity='.42'/><stop offset='1' stop-color='#e6f1f4' stop-opacity='0'/></radialGradient>")
	put("<linearGradient id='beam' x1='0' y1='0' x2='0' y2='1'><stop offset='0' stop-color='#fff3c4' stop-opacity='.75'/><stop offset='1' stop-color='#fff3c4' stop-opacity='0'/></linearGradient>")
	put("<radialGradient id='flare'><stop offset='0' stop-color='#fff' stop-opacity='1'/><stop offset='.25' stop-color='#fff3c4' stop-opacity='.7'/><stop offset='1' stop-color='#fff3c4' stop-opacity='0'/></radialGradient>")
	put("<radialGradient id='dark' cx='.5' cy='.5' r='.75'><stop offset='.5' stop-color='#000' stop-opacity='0'/><stop offset='1' stop-color='#000' stop-opacity='.5'/></radialGradient></defs>")
	rect(0, 0, 640, 360, "#2b3033")
	quad(-4, 0, .7, 4, 0, .7, 4, 0, 9, -4, 0, 9, "url(#floor)")
	quad(-4, 1, .7, 4, 1, .7, 4, 1, 9, -4, 1, 9, "#33393d")
	quad(-4, 0, 9, 4, 0, 9, 4, 1, 9, -4, 1, 9, "#23282b")
	# beams across
	for (z = 1.2; z < 9; z *= 1.55) quad(-4, 1, z, 4, 1, z, 4, .9, z, -4, .9, z, "#2a2f33")
	# pipes and cable trays under the ceiling
	quad(-.62, .96, .7, -.5, .96, .7, -.5, .96, 9, -.62, .96, 9, "#8e2b22"); quad(.44, .95, .7, .66, .95, .7, .66, .95, 9, .44, .95, 9, "#5b6368")
	# the lane
	quad(-.78, 0, .7, -.74, 0, .7, -.74, 0, 9, -.78, 0, 9, "#cfd3c9", "opacity='.7'"); quad(.74, 0, .7, .78, 0, .7, .78, 0, 9, .74, 0, 9, "#cfd3c9", "opacity='.7'")
	for (z = 1.1; z < 7; z *= 1.9) {
		quad(-.05, 0, z, .05, 0, z, .05, 0, z * 1.25, -.05, 0, z * 1.25, "#e4d25a", "opacity='.8'")
		quad(-.14, 0, z * 1.24, .14, 0, z * 1.24, 0, 0, z * 1.42, 0, 0, z * 1.42, "#e4d25a", "opacity='.8'")
	}
	for (i = 0; i < 5; i++) { z = 1.25 * exp(i * .42); line(px(-.76, z), py(0, z), px(-2.2, z), py(0, z), "#c9cdc4", 2.4 / z, "opacity='.6'"); line(px(.76, z), py(0, z), px(2.2, z), py(0, z), "#c9cdc4", 2.4 / z, "opacity='.6'") }
	# the end wall
	rect(268, 124, 104, 19, "#1a6b3a", "rx='2'"); text(320, 138.5, 13, "#eafff2", "B2 出口 EXIT →", "text-anchor='middle' font-weight='bold'")
	back(-1.45, 4.4, "#3b4852"); back(1.42, 4.6, "#7d8286"); back(-1.42, 2.9, "#8e9397"); back(1.5, 2.9, "#27425e")
	column(-1.02, 3.5, "A3"); column(1.02, 3.5, "C3")
	back(-1.52, 1.75, "#6e2622"); back(1.55, 1.85, "#c9ccce")
	column(-1.06, 1.5, "A2"); column(1.06, 1.5, "C2")
}

# lamp hangs over the lane, on is its brightness.
function lamp(x, z, on) {
	quad(x - .2, .93, z, x + .2, .93, z, x + .2, .93, z * 1.06, x - .2, .93, z * 1.06, "#f4fbff", sprintf("opacity='%.2f'", .25 + .75 * on))
	ellipse(px(x, z * 1.03), py(0, z * 1.03), 230 / z, 52 / z, "url(#pool)", sprintf("opacity='%.2f'", on))
}

function scene(t,  z, x, s, f, h, k) {
	lamp(0, 1.15, 1); lamp(0, 3.1, 1); lamp(0, 4.9, .9)
	f = t - 4 * int(t / 4)
	lamp(0, 1.95, f > 1 && f < 1.12 || f > 1.3 && f < 1.38 || f > 1.7 && f < 2.05 ? .1 : 1)
	# comes in at the far end, towards us, and leaves at the left
	z = 7.2 * exp(-t / 6.6 * 1.72)
	x = -.28 * ramp(t, 0, 3)
	s = .95 / z
	k = ramp(t, 0, .6) * (1 - ramp(t, 6.7, 7.3))
	if (k > 0) {
		x -= 3.4 * ramp(t, 4.7, 7.3)
		group(sprintf("opacity='%.3f'", k))
		poly(sprintf("%.1f,%.1f %.1f,%.1f %.1f,%.1f %.1f,%.1f", px(x, z) - 70 * s, py(0, z) - 30 * s, px(x, z) + 70 * s, py(0, z) - 30 * s, px(x, z) + 190 * s, py(0, z) + 130 * s, px(x, z) - 190 * s, py(0, z) + 130 * s), "url(#beam)", "opacity='.8'")
		ellipse(px(x, z), py(0, z) + 1, 96 * s, 9 * s, "#000", "opacity='.6'")
		group(sprintf("transform='translate(%.2f %.2f) scale(%.4f)'", px(x, z), py(0, z), s))
		put("<path d='M-80 -9 Q-84 -44 -66 -54 L-50 -92 Q0 -101 50 -92 L66 -54 Q84 -44 80 -9 Z' fill='#31506b'/>")
		put("<path d='M-55 -57 L-43 -88 Q0 -95 43 -88 L55 -57 Z' fill='#11181d'/><path d='M-32 -59 L-22 -88 L0 -90 L-12 -59 Z' fill='#fff' opacity='.1'/>")
		rect(-38, -36, 76, 11, "#101214", "rx='3'"); rect(-22, -21, 44, 12, "#214a8e", "rx='1'"); rect(-80, -15, 26, 17, "#0d0e0f", "rx='4'"); rect(54, -15, 26, 17, "#0d0e0f", "rx='4'")
		end()
		circle(px(x, z) - 60 * s, py(0, z) - 32 * s, 34 * s, "url(#flare)"); circle(px(x, z) + 60 * s, py(0, z) - 32 * s, 34 * s, "url(#flare)")
		end()
	}
	# somebody walks to the parked cars, far off
	h = mix(-1.1, 1.1, t / 8)
	person(px(h, 5.4), py(0, 5.4), 27, t * 7.07, 1, "#8a6d3b", "#22262a", 0)
	rect(0, 0, 640, 360, "url(#dark)")
}
