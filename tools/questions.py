"""A question of the bank, and what is wrong with one before any program imports it."""

import re
from dataclasses import dataclass

LETTER = re.compile(r"\b(?:as|answer|option|choice) [A-J]\b(?!['’.\w])")


@dataclass(frozen=True)
class Option:
    """One answer to choose, as Markdown, and what is said to whoever chooses it."""

    text: str
    right: bool
    feedback: str


@dataclass(frozen=True)
class Question:
    """One question; a numeric one has a `value` and options that are numbers."""

    name: str  # unique in the bank
    stem: str  # Markdown with $…$ and absolute links
    options: tuple
    value: float | None = None
    tol: float = 0.0
    hint: str = ""  # said to any other number

    @property
    def kind(self):
        if self.value is not None:
            return "number"
        if [option.text for option in self.options] == ["True", "False"]:
            return "truefalse"
        return "choice" if sum(o.right for o in self.options) == 1 else "several"


def faults(question):
    """What an importer would refuse, or a student could not answer."""
    if question.value is None:
        keys = [chr(65 + k) for k, option in enumerate(question.options) if option.right]
        if not keys:
            yield f"{question.name} has no key: one of its options is right."
        if len(keys) > 1 and not question.name.startswith("predict-"):
            yield f"{question.name} has {len(keys)} keys, {', '.join(keys)}: one is right."
    if len(question.options) < 2 and question.value is None:
        yield f"{question.name} needs two options or more."
    for option in question.options:
        if not option.feedback.strip():
            yield f"{question.name} has no feedback for {option.text!r}."
        if letter := LETTER.search(f"{option.text} {option.feedback}"):
            yield f"{question.name} names {letter[0]!r}; Canvas shows no letters beside options."
    for text in (question.stem, *(o.text for o in question.options)):
        if re.search(r"\{\w+\}`|\]\((?!https?:)", text):
            yield f"{question.name} has a role or a relative link, which no other program follows."
