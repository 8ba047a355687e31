"""The book's drawing settings, for as long as the book draws; the reader's own come back.

A reader's matplotlibrc or `plt.style` changes no figure of the book, and no figure of the book
changes what the reader plots. Artists take most settings when they are made, so the book's hold
from `panels` until the cell that shows those panels has ended, and again while `draw` runs.
"""

from contextlib import contextmanager
from weakref import WeakSet

from IPython import get_ipython
from matplotlib import RcParams, rcParams, rcParamsDefault

THE_READERS = {"backend", "backend_fallback", "interactive"}  # where plots appear, not how


class Settings:
    """matplotlib's defaults with `style` over them: `drawing`, `begin`, `wait_for`, `shown`."""

    def __init__(self, style):
        # dict's own methods: no validation, so that a move costs microseconds, and no backend
        book = {**dict.copy(rcParamsDefault), **dict.copy(RcParams(style))}
        self._book = {key: value for key, value in book.items() if key not in THE_READERS}
        self._readers, self._waiting, self._within = None, WeakSet(), 0

    @contextmanager
    def drawing(self):
        """The book's settings inside a `with`; after it, those from before."""
        before = {key: dict.__getitem__(rcParams, key) for key in self._book}
        dict.update(rcParams, self._book)
        self._within += 1
        try:
            yield
        finally:
            self._within -= 1
            dict.update(rcParams, before)

    def begin(self):
        """The book's settings from here to the end of the cell (in a script: from here on)."""
        if self._within:  # they hold already, and what comes back is known
            return
        shell = get_ipython()
        if shell is not None and self._readers is None:
            self._readers = {key: dict.__getitem__(rcParams, key) for key in self._book}
            shell.events.register("post_execute", self._give_back)
        dict.update(rcParams, self._book)

    def wait_for(self, figs):
        """The book's settings until the end of the cell that shows `figs`."""
        self._waiting.update(figs)

    def shown(self, figs):
        """`figs` need the book's settings no more."""
        for fig in figs:
            self._waiting.discard(fig)

    def _give_back(self):
        """At the end of a cell: the reader's settings, except those that were set in between."""
        if not self._waiting:
            kept = self._readers.items()
            own = {k: v for k, v in kept if dict.get(rcParams, k) is self._book[k]}
            dict.update(rcParams, own)
            self._readers = None
            get_ipython().events.unregister("post_execute", self._give_back)
