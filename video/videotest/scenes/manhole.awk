# A street corner after rain, seen from a lamp post: the manhole cover in the
# middle of the lane, cars that go around or over it, somebody with an umbrella.

function title() { return "向阳路井盖" }
function seconds() { return 8 }

function background(  i, j, a) {
	put("<defs><linearGradient id='asphalt' x1='0' y1='0' x2='0' y2='1'><stop offset='0' stop-color='#585d63'/><stop offset='1' stop-color='#3e4348'/></linearGradient>")
	put("<linearGradient id='sheen' x1='0' y1='0' x2='0' y2='1'><stop offset='0' stop-color='#c8d4dd' stop-opacity='.4'/><stop offset='1' stop-color='#c8d4dd' stop-opacity='.06'/></linearGradient>")
	put("<radialGradient id='iron' cx='.4' cy='.35' r='.8'><stop offset='0' stop-color='#8b8f92'/><stop offset='1' stop-color='#4a4d50'/></radialGradient>")
	put("<filter id='grain' x='0' y='0' width='1' height='1'><feTurbulence type='fractalNoise' baseFrequency='.8' numOctaves='2' seed='7'/><feColorMatrix values='0 0 0 0 0  0 0 0 0 0  0 0 0 0 0  0 0 0 -1.3 .78'/></filter></defs>")
	rect(0, 0, 640, 360, "url(#asphalt)")
	rect(0, 96, 640, 264, "#000", "filter='url(#grain)' opacity='.28'")
	# the far pavement with a hedge and a shop
	rect(0, 0, 640, 66, "#9b968c"); rect(0, 62, 640, 7, "#c9c4b8"); rect(0, 68, 640, 4, "#6d6a64")
	rect(0, 0, 640, 34, "#5a4a40"); rect(250, 0, 150, 30, "#93b7c6"); rect(322, 0, 4, 30, "#3c3029"); rect(420, 0, 90, 30, "#7fa5b5"); rect(238, 26, 290, 10, "#a23b2c")
	text(383, 35, 9, "#ffe9b8", "向 阳 便 利 店", "text-anchor='middle' font-weight='bold'")
	for (i = 4; i < 236; i += 17) { circle(i, 46, 13, "#4f7343"); circle(i + 8, 41, 11, "#5d8550") }
	for (i = 545; i < 650; i += 17) { circle(i, 46, 13, "#4f7343"); circle(i + 8, 41, 11, "#5d8550") }
	# lane marks and the crossing
	for (i = -30; i < 480; i += 92) poly(sprintf("%d,150 %d,150 %d,156 %d,156", i, i + 52, i + 50, i - 4), "#d8d8d2", "opacity='.9'")
	for (i = 0; i < 7; i++) poly(sprintf("%.0f,%.0f %.0f,%.0f %.0f,%.0f %.0f,%.0f", 500 - i * 1.5, 80 + i * 38, 628, 80 + i * 38, 634, 80 + i * 38 + 18 + i, 498 - i * 2, 80 + i * 38 + 18 + i), "#dfdfd9", "opacity='.85'")
	# puddles
	ellipse(120, 300, 92, 22, "url(#sheen)"); ellipse(430, 330, 70, 14, "url(#sheen)"); ellipse(400, 120, 60, 8, "url(#sheen)")
	# the cover
	ellipse(300, 250, 78, 39, "#2b2e31"); ellipse(300, 248, 74, 36, "#6b6f73"); ellipse(300, 247, 66, 31.5, "url(#iron)", "stroke='#35383b' stroke-width='2'")
	for (j = 1; j < 4; j++) put(sprintf("<ellipse cx='300' cy='247' rx='%.1f' ry='%.1f' fill='none' stroke='#3a3d40' stroke-width='1.6'/>", 66 * j / 4.2 + 3, 31.5 * j / 4.2 + 1.5))
	for (i = 0; i < 16; i++) { a = i * pi() / 8; line(300 + 22 * cos(a), 247 + 10.5 * sin(a), 300 + 62 * cos(a), 247 + 29.5 * sin(a), "#3a3d40", 1.6) }
	ellipse(300, 247, 20, 9.5, "#7b7f83", "stroke='#3a3d40'"); text(300, 251, 11, "#26282a", "污 水", "text-anchor='middle' font-weight='bold'")
	put("<path d='M236 240 A66 31 0 0 1 330 219' fill='none' stroke='#fff' stroke-opacity='.35' stroke-width='2'/>")
}

function scene(t,  x, i, a, k, r, y) {
	# a van along the far lane, right to left; a car along ours, over the cover
	x = mix(860, -260, t / 5)
	if (t < 5) { puddle(x, 134); van(x, 132, -1) }
	x = mix(-240, 900, (t - 3.2) / 3.4)
	if (t > 3.2 && t < 6.6) { puddle(x, 284); car(x, 282, 236, 1, "#3c6e91", t * 8, 1) }
	# over the crossing with an umbrella, away from us
	y = mix(396, 92, t / 8)
	k = .55 + .5 * (y - 96) / 256
	walker(mix(572, 560, t / 8), y, k, t * 6.28)
	# rain
	for (i = 0; i < 26; i++) {
		a = i * 7919 % 640; r = (i * 104729 % 360 + t * 25 * (6 + i % 4) * 2.5 * (i % 3 + 3) / 4)
		r -= 400 * int(r / 400)
		line(a, r - 20, a - 2, r - 8, "#dfe9ef", .9, "opacity='.38'")
	}
	# rings on the puddles
	for (i = 0; i < 6; i++) {
		a = t * 1.5 + i * .37; a -= int(a)
		put(sprintf("<ellipse cx='%.1f' cy='%.1f' rx='%.1f' ry='%.1f' fill='none' stroke='#e8f0f4' stroke-width='1' opacity='%.2f'/>", i % 2 ? 90 + i * 22 : 410 + i * 12, i % 2 ? 296 + i * 2 : 326 + i, 3 + 14 * a, 1 + 4 * a, .55 * (1 - a)))
	}
}

function puddle(x, y) { ellipse(x, y + 5, 110, 6, "#cfdbe3", "opacity='.16'") }

function van(x, y, dir) {
	ellipse(x, y + 1, 84, 7, "#000", "opacity='.4'")
	group(sprintf("transform='translate(%.2f %.2f) scale(%d 1)'", x, y, dir))
	put("<path d='M-80 -66 L36 -66 Q58 -64 70 -36 L80 -30 L80 -9 L-80 -9 Z' fill='#e9ebec'/><path d='M36 -60 Q52 -58 62 -36 L36 -36 Z' fill='#22323d'/>")
	rect(-80, -40, 110, 9, "#2f9e62");
	rect(-80, -15, 160, 6, "#00000033"); rect(73, -28, 7, 7, "#fff1c2"); rect(-80, -30, 5, 10, "#c22a20")
	wheel(-48, -8, -x / 14 * dir); wheel(46, -8, -x / 14 * dir)
	end()
}

function walker(x, y, s, step) {
	person(x, y, 78 * s, step, 2, "#7a3f5c", "#2a2d33", 0)
	group(sprintf("transform='translate(%.2f %.2f) scale(%.4f)'", x, y - 78 * s + 1.5 * s * sin(step * 2), s))
	line(6, 22, 6, -14, "#333", 1.6)
	put("<path d='M-34 -8 Q-30 -34 6 -36 Q42 -34 46 -8 Q36 -15 26 -8 Q16 -15 6 -8 Q-4 -15 -14 -8 Q-24 -15 -34 -8 Z' fill='#e0b83a'/><path d='M6 -36 Q16 -26 26 -8 M6 -36 L6 -8 M6 -36 Q-4 -26 -14 -8' stroke='#a8842a' fill='none'/>")
	end()
}
