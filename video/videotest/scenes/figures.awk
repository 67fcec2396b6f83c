# What the scenes share: the loop over the pictures, the lettering of a
# surveillance camera, and the people and vehicles that move. Each scene file
# says title() and draws background() and scene(t), t in seconds from 0 to
# seconds(); what moves is back where it was at the end.

function pi() { return 3.14159265 }
function put(s) { print s > out }
function clamp(x, lo, hi) { return x < lo ? lo : x > hi ? hi : x }
# ramp goes smoothly from 0 to 1 while t goes from a to b.
function ramp(t, a, b,  x) { x = clamp((t - a) / (b - a), 0, 1); return x * x * (3 - 2 * x) }
function mix(a, b, x) { return a + (b - a) * x }

function rect(x, y, w, h, fill, more) { put(sprintf("<rect x='%.2f' y='%.2f' width='%.2f' height='%.2f' fill='%s' %s/>", x, y, w, h, fill, more)) }
function poly(points, fill, more) { put(sprintf("<polygon points='%s' fill='%s' %s/>", points, fill, more)) }
function circle(x, y, r, fill, more) { put(sprintf("<circle cx='%.2f' cy='%.2f' r='%.2f' fill='%s' %s/>", x, y, r, fill, more)) }
function ellipse(x, y, rx, ry, fill, more) { put(sprintf("<ellipse cx='%.2f' cy='%.2f' rx='%.2f' ry='%.2f' fill='%s' %s/>", x, y, rx, ry, fill, more)) }
function line(x1, y1, x2, y2, color, width, more) { put(sprintf("<line x1='%.2f' y1='%.2f' x2='%.2f' y2='%.2f' stroke='%s' stroke-width='%.2f' stroke-linecap='round' %s/>", x1, y1, x2, y2, color, width, more)) }
function text(x, y, size, fill, s, more) { put(sprintf("<text x='%.2f' y='%.2f' font-family='Noto Sans CJK SC' font-size='%.2f' fill='%s' %s>%s</text>", x, y, size, fill, more, s)) }
function group(more) { put("<g " more ">") }
function end() { put("</g>") }

# limb is two lines with a joint, from (x, y): the upper half at angle a, the
# lower at angle b, both from straight down.
function limb(x, y, upper, lower, a, b, color, width,  kx, ky) {
	kx = x + upper * sin(a); ky = y + upper * cos(a)
	line(x, y, kx, ky, color, width)
	line(kx, ky, kx + lower * sin(b), ky + lower * cos(b), color, width)
}

# person walks with the feet at (x, y), h high; step is the phase of the walk,
# dir is 1 to the right, -1 to the left, 0 towards us, 2 away from us.
function person(x, y, h, step, dir, coat, trousers, bag,  s, a, b, bob, lean) {
	s = h / 100
	a = sin(step); b = sin(step + pi())
	bob = -1.5 * abs(sin(step))
	ellipse(x + 4 * s, y, 20 * s, 5 * s, "#000", "opacity='.35'")
	group(sprintf("transform='translate(%.2f %.2f) scale(%.4f)'", x, y + bob * s, s))
	if (dir == 0 || dir == 2) {
		# From the front or the back: the legs shorten in turn.
		line(-5, -48, -6, -4 - 7 * clamp(a, 0, 1), trousers, 8)
		line(5, -48, 6, -4 - 7 * clamp(b, 0, 1), trousers, 8)
		line(-6, -3 - 7 * clamp(a, 0, 1), -8, -2 - 7 * clamp(a, 0, 1), "#1b1b1f", 5)
		line(6, -3 - 7 * clamp(b, 0, 1), 8, -2 - 7 * clamp(b, 0, 1), "#1b1b1f", 5)
		line(-12, -76, -15, -58 + 3 * a, coat, 6.5); line(-15, -58 + 3 * a, -13, -46 + 6 * a, coat, 5.5)
		line(12, -76, 15, -58 + 3 * b, coat, 6.5); line(15, -58 + 3 * b, 13, -46 + 6 * b, coat, 5.5)
		circle(-13, -44 + 6 * a, 3, "#d9a986"); circle(13, -44 + 6 * b, 3, "#d9a986")
		put(sprintf("<path d='M-12 -79 Q0 -85 12 -79 L11 -44 Q0 -41 -11 -44 Z' fill='%s'/>", coat))
		put("<path d='M-1 -81 L-1 -43 L1 -43 L1 -81 Z' fill='#000' opacity='.18'/>")
		if (bag) { rect(12, -44 + 6 * b, 11, 15, bag, "rx='2'"); line(15, -44 + 6 * b, 20, -44 + 6 * b, "#333", 1) }
	} else {
		lean = dir * 2
		limb(lean, -78, 16, 15, -dir * .55 * a, -dir * .55 * a + dir * .35, "#00000055", 5.5)
		limb(0, -48, 23, 23, dir * .5 * a, dir * (.5 * a - .45 * clamp(-cos(step), 0, 1)), trousers, 8)
		limb(0, -48, 23, 23, dir * .5 * b, dir * (.5 * b - .45 * clamp(cos(step), 0, 1)), trousers, 8)
		put(sprintf("<path d='M%.1f -81 Q%.1f -83 %.1f -79 L8 -44 Q0 -42 -8 -44 Z' fill='%s'/>", -7 + lean, 4 + lean, 8 + lean, coat))
		limb(lean, -77, 16, 15, -dir * .55 * b, -dir * .55 * b + dir * .35, coat, 6)
		if (bag) rect(-dir * 9 - 4, -76, 8, 20, bag, "rx='3'")
	}
	if (dir == 2) { circle(0, -91, 9, "#2a211c"); rect(-4, -85, 8, 5, "#d9a986"); end(); return }
	circle(dir * 3, -91, 8.5, "#d9a986")
	put(sprintf("<path d='M%.1f -89 A9 9 0 1 1 %.1f -92 Q%.1f -98 %.1f -89 Z' fill='#2a211c'/>", dir * 3 - 9, dir * 3 + 8.6, dir * 3 + 2, dir * 3 - 9))
	end()
}
function abs(x) { return x < 0 ? -x : x }

# car stands with its wheels on (x, y), its middle at x, l long, nose to the
# right (dir 1) or left.
function car(x, y, l, dir, body, roll, lights,  s) {
	s = l / 200
	ellipse(x, y + 2 * s, 104 * s, 9 * s, "#000", "opacity='.4'")
	group(sprintf("transform='translate(%.2f %.2f) scale(%.4f %.4f)'", x, y, s * dir, s))
	put(sprintf("<path d='M-100 -22 Q-99 -38 -84 -40 L-58 -44 Q-38 -66 -8 -67 Q26 -67 44 -45 L78 -39 Q98 -35 100 -22 L99 -12 Q98 -9 92 -9 L-92 -9 Q-99 -9 -100 -14 Z' fill='%s'/>", body))
	put("<path d='M-50 -45 Q-34 -61 -10 -62 L-8 -45 Z' fill='#1d2a33'/>")
	put("<path d='M-3 -45 L-4 -62 Q24 -61 36 -45 Z' fill='#25343f'/>")
	put("<path d='M-44 -46 Q-33 -57 -20 -60 L-30 -46 Z' fill='#fff' opacity='.15'/>")
	put("<path d='M-100 -22 L100 -22 L99 -12 L-99 -12 Z' fill='#000' opacity='.22'/>")
	line(-6, -43, -6, -14, "#00000044", 1.2); line(-54, -43, -50, -14, "#00000033", 1); line(40, -43, 38, -14, "#00000033", 1)
	rect(-22, -36, 9, 2, "#00000055"); rect(20, -36, 9, 2, "#00000055")
	put("<path d='M88 -36 Q98 -34 99 -27 L90 -28 Z' fill='" (lights ? "#fff6d0" : "#dfe6ea") "'/>")
	put("<path d='M-97 -34 Q-100 -30 -100 -25 L-92 -27 L-91 -36 Z' fill='" (lights ? "#ff3b30" : "#a32219") "'/>")
	wheel(-60, -12, roll); wheel(60, -12, roll)
	end()
}
function wheel(x, y, roll,  i) {
	circle(x, y, 17, "#00000088"); circle(x, y, 14.5, "#17181a"); circle(x, y, 9, "#aeb4b8")
	for (i = 0; i < 5; i++) line(x, y, x + 8 * cos(roll + i * 1.2566), y + 8 * sin(roll + i * 1.2566), "#5b6166", 2)
	circle(x, y, 2.2, "#43484c")
}

# bike is an electric bicycle with its rider.
function bike(x, y, s, dir, coat, roll,  i) {
	ellipse(x, y + 1, 34 * s, 4 * s, "#000", "opacity='.35'")
	group(sprintf("transform='translate(%.2f %.2f) scale(%.4f %.4f)'", x, y, s * dir, s))
	for (i = -24; i <= 24; i += 48) {
		put(sprintf("<circle cx='%d' cy='-11' r='10' fill='none' stroke='#1a1a1a' stroke-width='3.5'/>", i))
		line(i, -11, i + 8 * cos(roll), -11 + 8 * sin(roll), "#888", 1); line(i, -11, i - 8 * cos(roll), -11 - 8 * sin(roll), "#888", 1)
	}
	put("<path d='M-26 -20 Q-22 -27 -8 -26 L2 -15 L12 -15 L20 -34 L25 -32 L16 -8 L-8 -8 L-16 -18 Z' fill='#c8432f'/>")
	line(21, -34, 18, -45, "#333", 3); line(18, -45, 14, -46, "#222", 3)
	rect(-34, -40, 18, 14, "#3572b0", "rx='2'")
	limb(-8, -32, 17, 17, 1.25, -.1, "#2b3240", 8)
	put(sprintf("<path d='M-14 -32 Q-15 -56 -3 -60 Q5 -58 3 -32 Z' fill='%s'/>", coat))
	limb(-3, -56, 13, 12, .5, 1.2, coat, 5.5)
	circle(2, -68, 8, "#d9a986"); put("<path d='M-7 -67 A9 9 0 0 1 11 -70 L11 -67 Z' fill='#f2c230'/>")
	end()
}

# lettering is what a camera writes into its picture.
function lettering(t, n,  s) {
	group("style='paint-order:stroke' stroke='#000' stroke-width='3' stroke-linejoin='round' stroke-opacity='.75'")
	text(16, 34, 23, "#fff", title(), "font-weight='bold'")
	s = sprintf("00:%02d.%02d", int(t), int((t - int(t)) * 100 + .5))
	text(624, 33, 19, "#fff", s, "text-anchor='end' font-weight='bold'")
	text(624, 347, 13, "#fff", sprintf("%03d", n), "text-anchor='end'")
	text(16, 347, 13, "#fff", "演示画面 DEMO")
	end()
	if (t - int(t) < .6) circle(517, 26.5, 5, "#ff3b30")
}

BEGIN {
	count = int(seconds() * 25 + .5)
	for (n = 0; n < count; n++) {
		out = sprintf("%s/%03d.svg", dir, n)
		put("<svg xmlns='http://www.w3.org/2000/svg' width='640' height='360' viewBox='0 0 640 360'>")
		background()
		scene(n / 25)
		lettering(n / 25, n)
		put("</svg>")
		close(out)
	}
}
