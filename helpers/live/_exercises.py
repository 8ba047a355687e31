"""The check behind every exercise: it tells a student at once whether an answer is right.

    check_twin = exercise(
        "ex-twin", truth=(5, 20), hint="what keeps the product?",
        wrong={(0.2, 20): "α divides, it does not multiply.", (20, 5): "the other way round."},
    )
    check_twin(ANSWER)                     # one line: Right. / Not yet: … / Your turn: …

`seal` and `unseal` hide such a cell in the student's edition; they do not protect it.
"""

import base64
import functools
import inspect
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from helpers.live._answers import Misfit, blank, is_plain, plain, read, same, values
from helpers.live._exercise_faults import RIGHT, YOUR_TURN, faults_in_form, faults_in_key
from helpers.live._wording import described, named, shown


@dataclass(frozen=True, eq=False)
class Exercise:
    """The check of one exercise, made by `exercise`; its repr shows neither truth nor hint."""

    label: str
    kind: str
    truth: object = field(repr=False)
    at: tuple = field(repr=False)
    tol: float = field(repr=False)
    hint: str = field(repr=False)
    wrong: tuple = field(repr=False)  # pairs: a typical wrong answer, what to say to it
    wants: tuple = field(repr=False)  # truth and wrong answers in plain numbers and words

    def __call__(self, answer):
        """Print one line about `answer`, whatever it is; return whether it is right."""
        try:
            line = self.line(answer)
        except Exception as error:
            line = f"Not yet: I could not read your answer: {named(error)}."
        print(" ".join(line.split()).encode(errors="replace").decode())
        return line == RIGHT

    def line(self, answer):
        """The line that a call prints. Raises: what a strange answer raises when it is read."""
        if self.kind == "function" and not blank(answer):
            try:
                answer = values(answer, self.at)
            except Misfit as misfit:
                return str(misfit)
        if blank(answer):
            return YOUR_TURN
        line = self._judged(answer) if self.kind == "judged" else self._compared(answer)
        if line in (RIGHT, YOUR_TURN):
            return line
        pairs = zip(self.wrong, self.wants[1:], strict=True)
        said = (text for (wrong, text), want in pairs if self._alike(answer, wrong, want))
        return next((f"Not yet: {text}" for text in said), line)

    def _compared(self, answer):
        try:
            right = self._same(answer, self.wants[0], whole=self.kind == "count")
        except Misfit as misfit:
            return str(misfit)
        return RIGHT if right else f"Not yet: {self.hint}"

    def _judged(self, answer):
        given = []  # by the answer, if it is a function: a starter's gives None
        try:
            said = self.truth(_watched(answer, given))
        except Exception as error:
            if blank(given):
                return YOUR_TURN
            form = self.hint and f"{self.hint.rstrip('.')}; "
            return f"Not yet: {form}your answer made the check fail: {named(error)}."
        if not (said is None or isinstance(said, str)):
            raise TypeError(f"the judge gave {described(said)}, not a sentence")
        if said is None or (said and blank(given)):
            return YOUR_TURN
        return f"Not yet: {said}" if said else RIGHT

    def _alike(self, answer, wrong, want):
        if self.kind == "judged" and not is_plain(want):
            return answer is wrong
        try:
            return self._same(answer, want)
        except Misfit:
            return False

    def _same(self, answer, want, whole=False):
        tol = 0 if self.kind == "count" else self.tol
        if self.kind != "function":
            return same(read(answer, want, whole=whole), want, tol)
        points = zip(answer, want, self.at, strict=True)
        got = [_read_at(args, value, w) for value, w, args in points]
        return all(same(value, w, tol) for value, w in zip(got, want))


def exercise(label, *, truth, wrong, hint="", kind="number", at=(), tol=1e-2):
    """The check of the exercise `label`: call it with an answer, and it prints one line.

    `kind` says what an answer is: "number" (one, or a tuple or dict of them, within `tol`,
    relatively), "count" (whole, exactly), "choice" (letters as in "AC", words, booleans),
    "function" (`truth` is one too; both are called with each tuple of arguments in `at`), or
    "judged": `truth(answer)` returns "" if it is right, else a sentence, or None for an untouched
    starter (a function that gives the judge nothing but None counts as one); its `hint` says what
    an answer looks like, and is shown when an answer makes the judge fail.
    `wrong` maps typical wrong answers to sentences; pairs do as well.

    Raises: ValueError, naming the label, for a check that would mislead: a wrong answer that it
    accepts, a truth that it does not, fewer than two wrong answers, an empty sentence.
    """
    wrong = tuple(wrong.items() if isinstance(wrong, Mapping) else wrong)
    at = tuple(args if isinstance(args, tuple) else (args,) for args in at)
    _refuse(label, faults_in_form(label, kind, truth, at, tol, hint, wrong))
    key = [truth, *(answer for answer, _ in wrong)]
    if kind == "function":
        key = [_values(label, function, at) for function in key]
    made = Exercise(label, kind, truth, at, tol, hint, wrong, tuple(map(plain, key)))
    _refuse(label, faults_in_key(made))
    return made


def seal(source):
    """`source` as compressed text of one line, without quotes or backslashes, for `unseal`."""
    return base64.b85encode(zlib.compress(source.encode(), 9)).decode()


def unseal(text):
    """The source that `seal` made `text` from. Raises: ValueError where the text was changed."""
    try:
        packed = zlib.decompressobj()
        source = packed.decompress(base64.b85decode(text)).decode()
        if packed.eof and not packed.unused_data:  # zlib's checksum was read, and it fits
            return source
    except (TypeError, ValueError, zlib.error):
        pass
    raise ValueError("this cell was changed: fetch the notebook again.")


def _watched(answer, given):
    """`answer`; what it gives is added to `given`, if it is a function and no module or class."""

    def call(*args, **kwargs):
        given.append(answer(*args, **kwargs))
        return given[-1]

    return functools.wraps(answer)(call) if inspect.isfunction(answer) else answer


def _refuse(label, faults):
    for fault in faults:
        raise ValueError(f"{label} {fault}.")


def _read_at(args, value, want):
    try:
        return read(value, want)
    except Misfit:  # the words for large arguments take their time, so they are made when needed
        return read(value, want, place=f" at {shown(args)}")


def _values(label, function, at):
    try:
        return values(function, at)
    except Misfit as misfit:
        text = str(misfit).removeprefix("Not yet: ")
        raise ValueError(
            f"{label} needs its truth and wrong answers to give values: {text}"
        ) from None
