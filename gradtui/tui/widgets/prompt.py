"""The line at the bottom that takes text: commands, searches, values, names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static
from textual.widgets.input import Selection

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual import events
    from textual.app import ComposeResult

KEPT_HISTORY: Final = 100
LEAVE: Final = ("escape", "ctrl+c", "ctrl+q")
"""Keys that leave the line, besides backspace where it is empty."""
SIGNS: Final = ("&", "/")
"""Labels that are the key itself."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked for: its kind, the label, what stands on the line, and what it may become."""

    kind: str
    label: str
    value: str = ""
    complete: Callable[[str], tuple[str, ...]] | None = None


class PromptInput(Input):
    """An input without blinking, boxes or Esc: backspace on the empty line leaves it.

    A value that it opens with is selected: what is typed first takes its place, any other key edits it.
    """

    class Completed(Message):
        """Tab was pressed: the next completion is wanted."""

        def __init__(self, backwards: bool) -> None:
            super().__init__()
            self.backwards = backwards

    class Recalled(Message):
        """Up or down was pressed: an earlier or later answer is wanted."""

        def __init__(self, offset: int) -> None:
            super().__init__()
            self.offset = offset

    DEFAULT_CSS = """
    PromptInput { height: 1; border: none; padding: 0; width: 1fr; background: $background; }
    PromptInput:focus { border: none; background: $background; background-tint: $background 0%; }
    PromptInput > .input--selection { background: $background; text-style: reverse; }
    """

    _is_offered = False
    _is_done = False
    _seen: events.Key | None = None

    def __init__(self, answer: Callable[[str], None], leave: Callable[[], None]) -> None:
        """Call ``answer`` with what was typed, or ``leave``: at once, for the next keys are the view's."""
        super().__init__(select_on_focus=False)
        self._answer, self._leave = answer, leave

    def offer(self, value: str) -> None:
        """Put a value on the line that the first character typed takes the place of."""
        self._is_done = False
        self.value = value
        self.selection = Selection(0, len(value))
        self._is_offered = True

    async def _on_key(self, event: events.Key) -> None:
        self._seen = event
        await self._act_on(event)

    async def take(self, event: events.Key) -> None:
        """Act on a key that went elsewhere, for the line had no focus yet; those that come from here are done."""
        if event is self._seen:
            return
        if event.key == "backspace" and self.value:
            # The binding would act behind the keys that wait already.
            event.stop()
            self.action_delete_left()
        else:
            await self._act_on(event)

    async def _act_on(self, event: events.Key) -> None:
        if self._is_done:
            # It was typed ahead, while the prompt closes: it is the view's.
            event.prevent_default()
            return
        if self._is_offered and not event.is_printable:
            # Home, arrows, backspace: they are for the value as it stands, from its end.
            self.cursor_position = len(self.value)
        self._is_offered = False
        message: Message | None = None
        if event.key in LEAVE or (event.key == "backspace" and not self.value):
            self._is_done = True
            self._leave()
        elif event.key in ("tab", "shift+tab"):
            message = self.Completed(event.key == "shift+tab")
        elif event.key in ("up", "down"):
            message = self.Recalled(-1 if event.key == "up" else 1)
        elif event.key == "enter":
            self._is_done = True
            self._answer(self.value)
        else:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()
        if message is not None:
            self.post_message(message)


class Prompt(Horizontal):
    """Asks for one line of text.

    ``ask`` opens it; the answer comes as ``Prompt.Answered``, with the ``kind`` that was asked.
    """

    DEFAULT_CSS = """
    Prompt { height: 1; display: none; }
    Prompt > Static { width: auto; height: 1; }
    Prompt > #completions { width: auto; max-width: 50%; color: $text-muted; }
    """

    class Answered(Message):
        """A line was accepted."""

        def __init__(self, kind: str, text: str) -> None:
            super().__init__()
            self.kind = kind
            self.text = text

    class Changed(Message):
        """The text changed while it is typed, for searches that follow."""

        def __init__(self, kind: str, text: str) -> None:
            super().__init__()
            self.kind = kind
            self.text = text

    class Left(Message):
        """The prompt was left without an answer."""

        def __init__(self, kind: str) -> None:
            super().__init__()
            self.kind = kind

    def __init__(self) -> None:
        super().__init__()
        self._kind = ""
        self._sign = ""
        self._complete: Callable[[str], tuple[str, ...]] = _nothing
        self._history: dict[str, list[str]] = {}
        self._recall = 0
        self._offers: tuple[str, ...] = ()
        self._offer = -1

    @property
    def is_open(self) -> bool:
        """Whether it waits for text."""
        return self.display

    def compose(self) -> ComposeResult:
        """Lay out the label, the input and the completions."""
        yield Static(id="label")
        yield PromptInput(self.answer, self.leave)
        yield Static(id="completions")

    def ask(self, ask: Ask) -> None:
        """Open the prompt."""
        self._kind = ask.kind
        self._sign = ask.label if ask.label in SIGNS else ""
        self._complete = ask.complete or _nothing
        self._recall = 0
        self._drop_offers()
        self.query_one("#label", Static).update(Content(ask.label))
        line = self.query_one(PromptInput)
        line.cursor_blink = False
        with self.prevent(Input.Changed):
            line.offer(ask.value)
        self.display = True
        line.focus()

    async def take(self, event: events.Key) -> None:
        """Act on a key that went to what is around this: before the line had the focus, it was for the line."""
        await self.query_one(PromptInput).take(event)

    def close(self) -> None:
        """Close it; what was typed is forgotten."""
        self.display = False
        self.screen.set_focus(None)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell who follows the typing."""
        event.stop()
        if self._offer < 0 or self._offers[self._offer] != event.value:
            self._drop_offers()
        if self.is_open:
            self.post_message(self.Changed(self._kind, event.value))

    def answer(self, text: str) -> None:
        """Close with an answer."""
        # Who did not see that the key opened the line types it once more.
        text = text.removeprefix(self._sign)
        past = self._history.setdefault(self._kind, [])
        if text and (not past or past[-1] != text):
            past.append(text)
            del past[:-KEPT_HISTORY]
        self.close()
        self.post_message(self.Answered(self._kind, text))

    def leave(self) -> None:
        """Close without an answer."""
        self.close()
        self.post_message(self.Left(self._kind))

    def on_prompt_input_completed(self, event: PromptInput.Completed) -> None:
        """Put the next completion on the line and show the others."""
        event.stop()
        line = self.query_one(PromptInput)
        if not self._offers:
            self._offers = self._complete(line.value)
            self._offer = 0 if event.backwards else -1
        if not self._offers:
            return
        self._offer = (self._offer + (-1 if event.backwards else 1)) % len(self._offers)
        line.value = self._offers[self._offer]
        line.cursor_position = len(line.value)
        words = [offer.rpartition(" ")[2] for offer in self._offers]
        shown = "  ".join(words[self._offer :] + words[: self._offer])
        self.query_one("#completions", Static).update(Content(shown))

    def on_prompt_input_recalled(self, event: PromptInput.Recalled) -> None:
        """Put an earlier answer of this kind on the line."""
        event.stop()
        past = self._history.get(self._kind, [])
        self._recall = max(-len(past), min(0, self._recall + event.offset))
        line = self.query_one(PromptInput)
        line.value = past[self._recall] if self._recall else ""
        line.cursor_position = len(line.value)

    def _drop_offers(self) -> None:
        self._offers = ()
        self._offer = -1
        self.query_one("#completions", Static).update("")


def _nothing(_text: str) -> tuple[str, ...]:
    return ()
