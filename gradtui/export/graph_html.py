"""An architecture as one HTML file: dataflow as SVG, the table on the same rows, nothing from a network.

The page asks for nothing: styles and script are inside, and its content policy forbids the rest. Names are
escaped where they are text, and the data of the script cannot end its element.
"""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from gradtui.core.architecture.categories import Colours, category_of
from gradtui.core.architecture.lanes import lane_count
from gradtui.viewmodel.architecture.choices import ArchitectureChoices
from gradtui.viewmodel.architecture.figures import shape_text, short
from gradtui.viewmodel.architecture.listing import architecture_view
from gradtui.viewmodel.architecture.rows import Rows
from gradtui.viewmodel.architecture.table import has_failed, row_names
from gradtui.viewmodel.architecture.words import STAGE_WORDS, fault_lines
from gradtui.viewmodel.text import plain, printable

if TYPE_CHECKING:
    from gradtui.core.architecture.graph import ModuleGraph
    from gradtui.viewmodel.architecture.layout import ArchitectureRow
    from gradtui.viewmodel.architecture.listing import ArchitectureView

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_LANES = 40
_COLUMNS = (
    ("flow", "", "lanes left"),
    ("name", "layer", "left"),
    ("elements", "output", ""),
    ("parameters", "parameters", ""),
    ("flops", "FLOPs", ""),
    ("bytes", "bytes", ""),
    ("heat", "hot", "left"),
)


def graph_html(
    graph: ModuleGraph,
    choices: ArchitectureChoices | None = None,
    colours: Colours | None = None,
) -> str:
    """Return the page.

    Args:
        graph: what is shown; folds, depth, merging and hotspot are those of ``choices``, sorting is the page's.
        choices: the defaults, without folded repeats, where none are given.
        colours: of the nodes.
    """
    choices = choices or ArchitectureChoices()
    colours = colours or Colours()
    view = architecture_view(Rows(graph), choices)
    lanes = max(lane_count(view.layout.lanes, _LANES), 1)
    own = view.layout.lanes.own.tolist()
    rows = [_row(view, place, colours, lanes) for place in range(len(view.shown))]
    data = {
        "rows": rows,
        "edges": [list(edge) for edge in view.layout.edges],
        "via": [min(own[a], lanes - 1) for a, _ in view.layout.edges],
        "lanes": lanes,
    }
    here = files("gradtui.export")
    head = "".join(
        f'<th scope="col" data-key="{key}" class="{css}">{title}</th>'
        for key, title, css in _COLUMNS
    )
    body = "\n".join(_line(view, place, row, lanes) for place, row in enumerate(rows))
    return _PAGE.format(
        policy=_POLICY,
        title=escape(printable(graph.model) or "model"),
        style=here.joinpath("graph.css").read_text("utf-8"),
        sums=_sums(graph),
        fault=_fault(graph),
        notes="".join(f"<p>{escape(printable(note))}</p>" for note in graph.notes),
        head=head,
        body=body,
        data=_script_safe(json.dumps(data, separators=(",", ":"), ensure_ascii=False)),
        script=here.joinpath("graph.js").read_text("utf-8"),
    )


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} — architecture</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>{sums}{fault}{notes}
<div class="tools">
<input type="search" placeholder="find layers   /" aria-label="find layers">
<button id="theme" type="button">dark</button>
</div>
</header>
<main>
<svg role="img" aria-label="dataflow"></svg>
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table>
<p class="nothing" hidden>nothing fits</p>
</main>
<div id="tip" role="tooltip"></div>
<script type="application/json" id="graph">{data}</script>
<script>
{script}</script>
</body>
</html>
"""


def _script_safe(text: str) -> str:
    # Inside <script> only these could end or hide it; in JSON strings their escapes mean the same.
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _sums(graph: ModuleGraph) -> str:
    totals = graph.totals
    parts = [f"{totals.parameters:,} parameters"]
    if graph.stage != "static":
        parts.append(f"{totals.flops:,} FLOPs" + (" up to the failure" if graph.fault else ""))
        parts.append(f"{short(totals.activation_bytes)}B of activations")
    parts.append(STAGE_WORDS[graph.stage])
    return "".join(f"<p>{escape(part)}</p>" for part in parts)


def _fault(graph: ModuleGraph) -> str:
    lines = "\n".join(plain(line).strip() for line in fault_lines(graph.fault, 0))
    return f'<p class="fault">{escape(lines)}</p>' if lines else ""


def _names(view: ArchitectureView, row: ArchitectureRow) -> tuple[str, str]:
    """A row's name, with a sign where it failed or comes after a guess, and its classes."""
    name, classes = (printable(text) for text in row_names(view, row))
    sign = "✗ " if has_failed(view, row) else ""
    return sign + name + (
        " ?" if view.graph.nodes[row.number].guessed and not sign else ""
    ), classes


def _row(view: ArchitectureView, place: int, colours: Colours, lanes: int) -> dict[str, object]:
    row = view.row(place)
    node, last = view.graph.nodes[row.number], view.graph.nodes[row.last]
    name, classes = _names(view, row)
    elements = 1
    for size in last.shape:
        elements *= size
    told = [
        f"{name}  {classes}",
        f"{' '.join(shape_text(shape) for shape in node.inputs) or '-'} → "
        + (f"{shape_text(last.shape)} {last.dtype}" if last.dtype else "-"),
        f"{row.parameters:,} parameters" + (f", {row.shared:,} shared" if row.shared else ""),
        f"{row.flops:,} FLOPs, {row.bytes:,} bytes",
        category_of(node.name, node.kind) + (f"  ({printable(node.extra)})" if node.extra else ""),
    ]
    if node.source:
        told.append(printable(node.source))
    if node.state != "run":
        told.append(node.state)
    if node.guessed:
        told.append("after a guess")
    return {
        "name": name,
        "find": f"{name} {classes}".lower(),
        "lane": min(max(int(view.layout.lanes.own[view.shown[place]]), 0), lanes - 1),
        "colour": colours.of(node.name, node.kind),
        "elements": elements if last.dtype else 0,
        "parameters": row.parameters,
        "flops": row.flops,
        "bytes": row.bytes,
        "heat": round(view.heat[place], 4),
        "tip": "\n".join(told),
    }


def _line(view: ArchitectureView, place: int, row: dict[str, object], lanes: int) -> str:
    shown = view.row(place)
    node, last = view.graph.nodes[shown.number], view.graph.nodes[shown.last]
    name, classes = map(escape, _names(view, shown))
    css = {"failed": ' class="failed"', "not run": ' class="unreached"'}.get(node.state, "")
    output = (
        shape_text(last.shape) if last.dtype else ("not run" if node.state == "not run" else "")
    )
    parameters = (
        f"{shown.parameters:,}" if shown.parameters or not shown.shared else f"({shown.shared:,})"
    )
    percent = f"{100 * view.heat[place]:.4g}"
    return (
        f'<tr{css}><td style="width:{24 + 16 * lanes}px"></td>'
        f'<td class="name"><span class="dot" style="background:{row["colour"]}"></span>{name}'
        f"<small>{classes}</small></td>"
        f'<td class="shape">{output}</td><td>{parameters}</td><td>{shown.flops:,}</td>'
        f'<td>{short(shown.bytes)}</td><td class="left"><span class="hot"><i style="width:{percent}%"></i></span></td></tr>'
    )
