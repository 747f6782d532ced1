"""Opens a page in headless Chromium as a reader does: points, filters, sorts and zooms. open_page.py INDEX.HTML

Exit code 77: there is no Chromium.
"""

import sys

from browser import Browser, find

FIRST = "document.querySelector('figure[id$=distribution] svg')"
VISIBLE = "[...document.querySelectorAll('figure svg')].filter(one => one.getBoundingClientRect().width)"

# Texts of rows that a mark runs through. On a phone the texts cover bands over all rows, so only marks with a value count there.
CROSSED = """(marks) => %s.flatMap(svg => {
  const box = one => one.getBoundingClientRect();
  const [all, shapes] = [box(svg), [...svg.querySelectorAll(marks)].map(box)];
  const is_name = text => !text.closest('.ticks') && text.getAttribute('text-anchor') !== 'middle';
  const texts = [...svg.querySelectorAll('text')].filter(is_name).map(text => ({ text: text.textContent, box: box(text) }));
  const meet = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3;
  const rows = texts.filter(one => shapes.some(shape => meet(shape, one.box)));
  const wide = texts.filter(one => one.box.right > all.right + 1 || one.box.left < all.left - 1);
  const same = texts.filter((one, index) => texts.slice(index + 1).some(other => meet(one.box, other.box)));
  return [...rows, ...wide, ...same].map(one => svg.parentNode.id + ': ' + one.text);
})""" % VISIBLE


def points(browser):
    mark = "[...%s.querySelectorAll('[data-tip]')].find(one => one.dataset.tip.startsWith('sharded-direct: median'))" % FIRST
    # The upper end of the bar of the median, as it is drawn. The points of the rounds are nearer to its middle.
    bar = f"{mark}.querySelector('polyline:last-child')"
    x, y = browser.place(bar)
    browser.mouse("mouseMoved", x, y - browser.run(f"{bar}.getBoundingClientRect().height") / 2 + 1)
    tip = browser.run("document.querySelector('#tip').hidden ? '' : document.querySelector('#tip').textContent")
    median = browser.run("document.querySelector('.cells tr.best').cells[3].textContent")
    assert tip.startswith(f"sharded-direct: median {median} ["), (tip, median)
    x, y = browser.place(f"{FIRST}.closest('figure').querySelector('h3')")
    browser.mouse("mouseMoved", x, y)
    assert browser.run("document.querySelector('#tip').hidden"), "the value stays"


def filters(browser):
    rows = "[...document.querySelectorAll('tr[data-strategy=sharded-direct]')].filter(row => row.offsetParent).length"
    others = rows.replace("sharded-direct", "tree-central")
    before, others_before = browser.run(rows), browser.run(others)
    button = "[...document.querySelectorAll('#filter button')].find(one => one.textContent === 'sharded-direct')"
    assert before and others_before
    browser.click(*browser.place(button))
    assert (browser.run(rows), browser.run(others)) == (0, others_before)
    assert browser.run(f"{button}.getAttribute('aria-pressed')") == "false"
    dimmed = f"getComputedStyle({FIRST}.querySelector('.marks [data-strategy=sharded-direct]')).opacity"
    assert float(browser.run(dimmed)) < 0.2
    assert "The filter hides" in browser.run("document.querySelector('.filtered').textContent")
    browser.click(*browser.place(button))
    assert browser.run(rows) == before and float(browser.run(dimmed)) == 1
    assert browser.run("document.querySelector('.filtered')") is None


def sorts(browser):
    heading = "[...document.querySelectorAll('.sortable thead button')].find(one => one.textContent === 'median')"
    values = f"[...{heading}.closest('table').tBodies[0].rows].map(row => Number(row.cells[3].dataset.value))"
    browser.click(*browser.place(heading))
    up = browser.run(values)
    assert up == sorted(up) and len(set(up)) > 2, up
    browser.click(*browser.place(heading))
    assert browser.run(values) == up[::-1]
    assert browser.run(f"{heading}.closest('th').getAttribute('aria-sort')") == "descending"


def zooms(browser):
    texts = f"[...{FIRST}.querySelectorAll('.ticks')].filter(one => one.style.display !== 'none').flatMap(one => [...one.querySelectorAll('text')].map(text => text.textContent))"
    places = f"[...{FIRST}.querySelectorAll('circle')].map(one => Number(one.getAttribute('cx')))"
    before, circles = browser.run(texts), browser.run(places)
    x, y = browser.place(FIRST)
    left, _, right, _ = map(float, browser.run(f"{FIRST}.dataset.field").split())
    scale = browser.run(f"{FIRST}.getBoundingClientRect().width / {FIRST}.viewBox.baseVal.width")
    start = browser.run(f"{FIRST}.getBoundingClientRect().left") + left * scale
    middle = start + (right - left) * scale / 2
    # The left half becomes the whole, so that distances from the left end double.
    browser.mouse("mousePressed", start, y, button="left", clickCount=1)
    browser.mouse("mouseMoved", middle, y, button="left", buttons=1)
    browser.mouse("mouseReleased", middle, y, button="left", clickCount=1)
    after = browser.run(places)
    for old, new in zip(circles, after):
        assert abs((new - left) - 2 * (old - left)) < 2, (old, new, left)
    assert browser.run(texts) and browser.run(texts) != before
    # Marks inside are seen, and marks beyond the axis are not.
    seen = "(inside) => [...%s.querySelectorAll('circle')].filter(one => { const at = Number(one.getAttribute('cx'));" % FIRST
    seen += f" if ((at > {left} && at < {right}) !== inside || (at - {right}) ** 2 < 100) return false; const box = one.getBoundingClientRect();"
    seen += " return document.elementFromPoint((box.left + box.right) / 2, (box.top + box.bottom) / 2) === one; }).length"
    assert browser.run(f"({seen})(true)") > 0 and browser.run(f"({seen})(false)") == 0
    browser.click(x, y)
    browser.click(x, y, count=2)
    assert (browser.run(texts), browser.run(places)) == (before, circles)


# Tables wider than their place that do not say so.
CUT = """[...document.querySelectorAll('.scroll')].filter(one => one.offsetParent && one.scrollWidth > one.clientWidth + 1
  && one.querySelector('.sortable') && !one.previousElementSibling.offsetParent).map(one => one.getAttribute('aria-label'))"""


def fits(browser):
    assert browser.run(CUT) == [], browser.run(CUT)
    crossed = browser.run(f"({CROSSED})('.marks *')")
    assert crossed == [], crossed
    browser.resize(390, 844, mobile=True)
    wide = browser.run("document.documentElement.scrollWidth")
    assert wide <= 390, f"the page is {wide} pixels wide on a phone"
    crossed = browser.run(f"({CROSSED})('.marks [data-tip] > *')")
    assert crossed == [], crossed
    assert browser.run(CUT) == [], browser.run(CUT)
    # The pictures of the phone are there, and the name of a row stands above its marks.
    seen = browser.run(f"[...new Set({VISIBLE}.map(svg => svg.getAttribute('class')))].join()")
    assert seen == "narrow", seen
    name = f"(() => {{ const svg = document.querySelector('figure[id$=distribution] svg.narrow'); return [...svg.querySelectorAll('text')].find(one => one.textContent.startsWith('sharded-direct')).getBoundingClientRect().bottom - svg.querySelector('circle').getBoundingClientRect().top; }})()"
    assert browser.run(name) < 3, browser.run(name)


def works_without_script(browser, path):
    browser.ask("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(path)
    assert browser.run("document.querySelector('#filter')") is None
    assert browser.run("document.querySelectorAll('svg .marks title').length") > 10
    assert browser.run("document.querySelectorAll('tr[data-strategy]').length") > 5


def main(path):
    if find() is None:
        print("no chromium, chromium-browser or google-chrome")
        sys.exit(77)
    browser = Browser()
    try:
        browser.resize(1440, 900)
        browser.open(path)
        for act in (points, filters, sorts, zooms, fits):
            act(browser)
        works_without_script(browser, path)
        assert browser.errors == [], browser.errors
    finally:
        browser.close()
    print("the page answers")


main(sys.argv[1])
