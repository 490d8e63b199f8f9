"""The modules that have our hooks: all when the watching begins, and later those that were put in since."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from gradtui.torch.watching.apart import decided_by_hooks, put_back, set_apart
from gradtui.torch.watching.calls import After, Before, Site
from gradtui.torch.watching.lifetime import Lifetime
from gradtui.torch.watching.scripting import hooks_on, is_copied, let_script
from gradtui.torch.watching.structure import chosen

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from gradtui.torch.watching.collecting import Collector
    from gradtui.torch.watching.settings import Settings


class Hooked:
    """The hooks on the modules of one model.

    Attributes:
        paths: of the modules that have hooks, by ``id``.
        scripted: paths of modules that take none.
    """

    def __init__(
        self,
        collector: Collector,
        settings: Settings,
        on_other: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        """Look at no module yet.

        Args:
            collector: what the hooks tell.
            settings: which modules are looked at.
            on_other: to be called before the next forward pass when something was put in.
            on_end: called when all modules are gone, see `gradtui.torch.watching.lifetime.Lifetime`.
        """
        self.paths: dict[int, str] = {}
        self.scripted: list[str] = []
        self._collector, self._settings, self._on_other = collector, settings, on_other
        self._hooks: dict[str, tuple[weakref.ref[nn.Module], list[Any]]] = {}
        self._model: Callable[[], nn.Module | None] = lambda: None
        self._lifetime = Lifetime(on_end)
        # All modules, hooked or not, as they stood when they were looked at last.
        self._all: set[int] = set()
        self._stood: list[tuple[str, weakref.ref[nn.Module]]] = []
        let_script()
        # Torch tells of all that is put into a module: so no pass must look whether something was. It does not tell of
        # what is taken out, or put in by a dict of torch's own: that is looked for in logged steps.
        self._told = [
            register_module_module_registration_hook(self._on_registered),
            register_module_parameter_registration_hook(self._on_registered),
        ]

    def look(self, model: nn.Module) -> bool:
        """Hook the modules that came, and unhook those that left; whether there were any."""
        self._collector.before_pass = None
        modules = list(model.named_modules())
        if len(modules) == len(self._stood) and all(
            reference() is module and path == stood
            for (path, module), (stood, reference) in zip(modules, self._stood, strict=True)
        ):
            return False
        self._model = weakref.ref(model)
        self._all = {id(module) for _, module in modules}
        self._stood = [(path, weakref.ref(module)) for path, module in modules]
        self._lifetime.of(reference for _, reference in self._stood)
        wanted = chosen(model, self._settings)
        for path, (reference, hooks) in list(self._hooks.items()):
            if reference() is None or reference() is not wanted.get(path):
                _remove(hooks)
                if (module := reference()) is not None:
                    put_back(module)
                del self._hooks[path]
                self._collector.sites.pop(path, None)
        self.paths.clear()
        self.scripted.clear()
        uncounted = decided_by_hooks(model)
        for path, module in wanted.items():
            if isinstance(module, torch.jit.ScriptModule):
                self.scripted.append(path or "(root)")
                continue
            self.paths.setdefault(id(module), path)
            if path not in self._hooks:
                self._clear(module)
                set_apart(module, uncounted)
                self._hooks[path] = (weakref.ref(module), self._hook(path, module))
        return True

    def doubt(self) -> None:
        """Something may be another: before the next pass it is to be looked at."""
        self._collector.before_pass = self._on_other

    def close(self) -> None:
        """Take all hooks off, and await no end."""
        self.remove()
        self._lifetime.forget()

    def remove(self) -> None:
        """Take all hooks off."""
        _remove(self._told)
        for _, hooks in self._hooks.values():
            _remove(hooks)
        self._hooks.clear()
        model = self._model()
        for module in model.modules() if model is not None else ():
            self._clear(module)
            put_back(module)

    def _hook(self, path: str, module: nn.Module) -> list[Any]:
        collector = self._collector
        site = collector.sites[path] = Site(path, module)
        return [
            module.register_forward_pre_hook(Before(site, collector), with_kwargs=True),
            module.register_forward_hook(After(site, collector), always_call=True),
        ]

    def _clear(self, module: nn.Module) -> None:
        """Take off what a copy has of ours, and what others hung on to it, as fusing does with the hooks of what it replaces."""
        for hooks in hooks_on(module):
            for key, hook in list(hooks.items()):
                if getattr(hook, "collector", None) is self._collector or is_copied(hook):
                    del hooks[key]

    def _on_registered(self, parent: nn.Module, _name: str, _: nn.Module | nn.Parameter) -> None:
        if id(parent) in self._all:
            self.doubt()


def _remove(hooks: list[Any]) -> None:
    for hook in hooks:
        hook.remove()
