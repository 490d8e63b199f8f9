"""Answers to the screen's requests, from the live graph of the last generation where it lasts.

- ``flow-row`` and ``flow-column``: ``pair`` is ``[source, target]`` and ``node`` a flat index; the answer is
  ``values``, ``[M]`` or ``[N]``.
- ``tensor``: ``module`` is a path, ``call`` an index (0), ``what`` one of ``gradient`` (the default), ``activation``,
  or the name of one of the module's own parameters or buffers; the answer is ``values`` in the tensor's own shape.
"""

from __future__ import annotations

import contextlib
import traceback
from typing import TYPE_CHECKING, Any

import torch

from gradtui.errors import GradtuiError, UsageError
from gradtui.torch.flows import Cancelled, Effort
from gradtui.torch.forward import Pass, run_once
from gradtui.torch.outputs import first_floating
from gradtui.torch.products import NoForwardProduct
from gradtui.torch.record import to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from torch import nn

    from gradtui.folder.inputs import InputRead
    from gradtui.folder.requests import Request
    from gradtui.torch.served import Served

Arrays = dict[str, "npt.NDArray[Any]"]


def answer_for(
    adapter: Served,
    run: Pass | None,
    read: InputRead | None,
    request: Request,
    *,
    progress: Callable[[float], None],
) -> tuple[str, str, Arrays]:
    """Answer one request.

    Args:
        adapter: whose model.
        run: the last pass; None where it failed.
        read: the input of that pass.
        request: what is asked.
        progress: told the share done of what takes long; may raise `Cancelled`.

    Returns:
        Status (``done``, ``refused``: the question can't be answered, ``failed``: an error), the reason in one
        line, and arrays.

    Raises:
        Cancelled: from ``progress``.
    """
    if run is None or read is None:
        return "refused", "there is no generation to ask about", {}
    try:
        if request.kind in ("flow-row", "flow-column"):
            values = _line(adapter, run, read, request, progress)
        elif request.kind == "tensor":
            values = _tensor(adapter, run, read, request)
        else:
            return "refused", f"this adapter does not know requests of kind {request.kind!r}", {}
    except Cancelled:
        raise
    except GradtuiError as error:
        return "refused", str(error), {}
    except Exception as error:  # noqa: BLE001 - whatever the user's model raises is an answer too
        traceback.print_exception(error)
        return "failed", f"{type(error).__name__}: {error}".partition("\n")[0], {}
    return "done", "", {"values": to_numpy(values)}


def _line(
    adapter: Served,
    run: Pass,
    read: InputRead,
    request: Request,
    progress: Callable[[float], None],
) -> torch.Tensor:
    pair, node = request.fields.get("pair"), request.fields.get("node")
    if (
        not isinstance(pair, (list, tuple))
        or len(pair) != 2
        or not all(isinstance(p, str) for p in pair)
    ):
        raise UsageError("a row or column needs pair=[source, target]")
    if not isinstance(node, int) or isinstance(node, bool):
        raise UsageError("a row or column needs node=index")
    names = (str(pair[0]), str(pair[1]))
    found: list[torch.Tensor] = []

    def ask(again: Pass, *, last: bool) -> None:
        ends = again.snapshot.pair(*names)
        if request.kind == "flow-column":
            found.append(again.snapshot.column(*ends, node))
            return
        try:
            found.append(again.snapshot.row(*ends, node))
        except NoForwardProduct:
            if last:
                effort = Effort(progress=progress)
                found.append(again.snapshot.row_by_columns(*ends, node, effort))

    def replay(*, twice: bool, last: bool) -> None:
        call = adapter.call_for(read.array)
        run_once(adapter.model, call, adapter.plan, use=lambda p: ask(p, last=last), twice=twice)

    if run.lasting:
        # Someone may train the model meanwhile: its old graph is then refused, and made anew.
        with contextlib.suppress(RuntimeError):
            ask(run, last=False)
    if not found:
        replay(twice=False, last=False)
    if not found:
        # Other kernels round differently: what they give is checked against the row's sum as well.
        with contextlib.suppress(RuntimeError):
            replay(twice=True, last=False)
    if not found:
        replay(twice=False, last=True)
    return found[0]


def _tensor(adapter: Served, run: Pass, read: InputRead, request: Request) -> torch.Tensor:
    path, what = str(request.fields.get("module", "")), str(request.fields.get("what", "gradient"))
    call = request.fields.get("call", 0)
    if not isinstance(call, int):
        raise UsageError("call is an index")
    if what == "gradient":
        found = (tap for tap in run.snapshot.taps if (tap.path, tap.call) == (path, call))
        if (tap := next(found, None)) is None:
            which = f", call {call}" if call else ""
            raise UsageError(f"no gradient was captured at {path!r}{which}")
        return run.snapshot.activation_gradient(tap)
    modules = dict(adapter.model.named_modules())
    if path not in modules:
        raise UsageError(f"no module is called {path!r}")
    if what == "activation":
        return _activation(adapter, read, modules[path], call)
    own: dict[str, torch.Tensor] = {
        **dict(modules[path].named_parameters(recurse=False)),
        **dict(modules[path].named_buffers(recurse=False)),
    }
    if what not in own:
        raise UsageError(f"{path!r} has no {what!r}; it has: {', '.join(own) or 'nothing'}")
    return own[what].detach()


def _activation(adapter: Served, read: InputRead, module: nn.Module, call: int) -> torch.Tensor:
    seen: list[torch.Tensor] = []

    def hook(_: nn.Module, __: object, output: object) -> None:
        tensor = first_floating(output)
        seen.append(torch.zeros(0) if tensor is None else tensor.detach().clone())

    handle = module.register_forward_hook(hook)
    try:
        call_again = adapter.call_for(read.array)
        run_once(adapter.model, call_again, adapter.plan, use=lambda _: None)
    finally:
        handle.remove()
    if not 0 <= call < len(seen):
        raise UsageError(f"the module was called {len(seen)} times, there is no call {call}")
    return seen[call]
