"""The architecture as a page: what it holds, what it never does, and how it behaves in a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from kit import zoo
from kit.graphs import blocks, chain_of

from gradtui.core.architecture.graph import TraceFault
from gradtui.export.graph_html import graph_html
from gradtui.export.graph_table import CSV_COLUMNS, graph_csv, graph_text
from gradtui.torch.tracing.trace import trace
from gradtui.viewmodel.architecture.choices import ArchitectureChoices

BROWSER = next((found for name in ("chromium", "chromium-browser", "google-chrome")
                if (found := shutil.which(name))), "")  # fmt: skip
needs_browser = pytest.mark.skipif(not BROWSER, reason="no chromium is installed here")
KEEP = ArchitectureChoices(merge=-1)


class Page(HTMLParser):
    """Elements and text, and whether every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.attributes = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.attributes.append((tag, dict(attrs)))
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_small():
    text = graph_html(trace(zoo.ResNet18().eval(), "1x3x224x224"))
    page = Page(text)
    assert not page.open
    assert len(text.encode()) <= 60_000
    assert "11,689,512 parameters" in text
    assert "3,628,146,688 FLOPs" in text


def test_nothing_is_asked_of_a_network():
    text = graph_html(blocks(3))
    assert "default-src 'none'" in text
    for tag, attributes in Page(text).attributes:
        assert tag not in ("link", "img", "iframe", "object")
        assert not {"src", "href", "action"} & set(attributes)
    outside = set(re.findall(r"https?://[^\s\"'<]+", text))
    # The name of SVG, which nobody fetches.
    assert outside <= {"http://www.w3.org/2000/svg"}


def test_names_cannot_become_markup():
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>&\u202e\x1b"
    graph = chain_of(1, 2)
    nodes = list(graph.nodes)
    nodes[2] = replace(nodes[2], path=evil, name=evil, extra=evil, source=evil)
    fault = TraceFault("E", evil, evil, evil, (), evil, evil, 2)
    graph = replace(graph, nodes=tuple(nodes), model=evil, notes=(evil,), fault=fault)
    text = graph_html(graph, KEEP)
    page = Page(text)
    assert not page.open
    assert [tag for tag, _ in page.attributes].count("script") == 2
    assert "img" not in [tag for tag, _ in page.attributes]
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_csv_has_every_node_and_no_formulas():
    graph = chain_of(1, 2)
    nodes = list(graph.nodes)
    nodes[2] = replace(nodes[2], path="=cmd()", shapes=((1, 2), ()), inputs=((3,),))
    rows = graph_csv(replace(graph, nodes=tuple(nodes))).splitlines()
    assert rows[0] == ",".join(CSV_COLUMNS)
    assert len(rows) == 1 + len(nodes)
    assert "'=cmd()" in rows[3]


def test_text_has_the_sums_and_the_fault():
    text = graph_text(trace(zoo.FailShape(), "1x3x16x16"), ArchitectureChoices(), 80)
    assert "FLOPs        700,416 up to the failure" in text
    assert "at bad in addmm(32, 1×4096, 999×32)" in text
    assert "x = self.bad(torch.flatten(x, 1))" in text
    ascii_text = graph_text(blocks(3), KEEP, 80, ascii=True)
    assert not set(ascii_text) & set("│◆⊕─╯├▸█")


# Does what a person would, and leaves what became of it as the document's title.
SCRIPT = """<script>
addEventListener("load", () => {
  const rows = () => [...document.querySelectorAll("tbody tr")].filter((row) => !row.hidden);
  const names = () => rows().map((row) => row.querySelector("td.name").firstChild.nextSibling.textContent);
  const picked = () => document.querySelectorAll("tr.picked, circle.picked").length;
  const search = document.querySelector("input[type=search]");
  const found = {};
  const key = (name) => document.querySelector(`th[data-key=${name}]`).click();
  const style = (element) => getComputedStyle(element);
  found.rows = names();
  const line = document.querySelector("tbody tr:nth-child(2)").getBoundingClientRect();
  const dot = document.querySelectorAll("circle")[1].getBoundingClientRect();
  found.aligned = Math.abs((line.top + line.bottom) / 2 - (dot.top + dot.bottom) / 2) < 1.5;
  found.skips = document.querySelectorAll("path.skip").length;
  document.querySelectorAll("tbody tr")[1].click();
  found.rowPicks = picked();
  found.linked = document.querySelectorAll("tr.linked").length;
  found.paths = document.querySelectorAll("path.linked").length;
  document.querySelectorAll("tbody tr")[1].click();
  found.unpicked = picked();
  document.querySelectorAll("circle")[3].dispatchEvent(new MouseEvent("click"));
  found.circlePicks = [...document.querySelectorAll("tbody tr")].findIndex((row) => row.matches(".picked"));
  document.querySelectorAll("tbody tr")[2].dispatchEvent(new MouseEvent("mousemove", { clientX: 40, clientY: 40 }));
  found.tip = document.getElementById("tip").textContent.split("\\n")[0];
  found.tipShown = style(document.getElementById("tip")).display;
  search.value = "LINEAR"; search.dispatchEvent(new Event("input"));
  found.searched = names();
  search.value = "nothing like it"; search.dispatchEvent(new Event("input"));
  found.nothing = !document.querySelector(".nothing").hidden && names().length === 0;
  search.value = ""; search.dispatchEvent(new Event("input"));
  key("parameters");
  found.sorted = names();
  found.sortMark = document.querySelector("th[data-key=parameters]").getAttribute("aria-sort");
  found.edgesWhenSorted = [...document.querySelectorAll("path")].filter((p) => style(p).display !== "none").length;
  key("flow");
  found.back = names();
  const before = style(document.body).backgroundColor;
  document.getElementById("theme").click();
  found.theme = style(document.body).backgroundColor !== before;
  found.sideways = document.documentElement.scrollWidth <= innerWidth;
  document.title = JSON.stringify(found);
});
</script></body>"""


@needs_browser
def test_in_a_browser(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(graph_html(blocks(2), KEEP).replace("</body>", SCRIPT), encoding="utf-8")
    done = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
            f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1000,700", "--dump-dom",
            f"file://{page}",
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr, done.stderr
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title is not None
    found = json.loads(title[1].replace("&quot;", '"').replace("&lt;", "<").replace("&amp;", "&"))
    order = ["x", "blocks.0.0", "blocks.0.1", "add", "blocks.1.0", "blocks.1.1", "add"]
    assert found == {
        "rows": order,
        "aligned": True,
        "skips": 2,
        "rowPicks": 2,
        "linked": 2,
        "paths": 2,
        "unpicked": 0,
        "circlePicks": 3,
        "tip": "blocks.0.1  Linear",
        "tipShown": "block",
        "searched": ["blocks.0.1", "blocks.1.1"],
        "nothing": True,
        "sorted": ["blocks.0.0", "blocks.0.1", "blocks.1.0", "blocks.1.1", "x", "add", "add"],
        "sortMark": "descending",
        "edgesWhenSorted": 0,
        "back": order,
        "theme": True,
        "sideways": True,
    }
