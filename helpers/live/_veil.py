"""A question in the place of a panel, in a kernel; an answer brings the picture."""

from functools import partial

import ipywidgets as widgets

from helpers.live._letters import to_html, to_plain


class Veil:
    """`box` with the question of `guess` and its options; `reply` is empty until one is chosen.

    `layout` is that of the panel it stands for; `uncover` is called once, after the choice.
    """

    def __init__(self, guess, layout, uncover):
        self.reply, self._guess, self._uncover = "", guess, uncover
        question = widgets.HTML(f"<p><strong>{to_html(guess['question'])}</strong></p>")
        wide = widgets.Layout(width="auto", min_height="44px", height="auto")
        self.buttons = [
            widgets.Button(description=to_plain(option), layout=wide) for option in guess["options"]
        ]
        for index, button in enumerate(self.buttons):
            button.on_click(partial(self._answer, index))
        self.box = widgets.VBox([question, *self.buttons], layout=widgets.Layout(**layout))

    def _answer(self, index, _button):
        if self.reply:  # a second click while the first one was under way
            return
        verdict = "Right." if index == self._guess["right"] else "Not so."
        self.reply = f"{verdict} {self._guess['reply']}"
        self._uncover()
