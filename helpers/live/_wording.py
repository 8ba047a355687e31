"""Say in a few words what a student gave, what an exercise needs, and where."""

import math
import numbers


def bare(value):
    """An array or a tensor as lists or as one number; all else as it is."""
    has_list = callable(getattr(value, "tolist", None)) and not isinstance(value, type)
    return value.tolist() if has_list else value


def one(answer):
    """An array or a tensor with one number in it as that number; all else as `bare` gives it."""
    value = bare(answer)
    while value is not answer and isinstance(value, list) and len(value) == 1:
        value = value[0]  # an array or a tensor with one number in it
    return value


def row(answer):
    """A column, or an array with one row, as that row's list; all else as `bare` gives it."""
    shape = getattr(answer, "shape", ())
    if isinstance(answer, type) or len(shape) < 2 or math.prod(shape) != max(shape):
        return bare(answer)
    return bare(answer.reshape(-1))


def described(answer):
    """A few words for what came instead of an answer: "a tuple", "nan", "a Tensor of 2 entries"."""
    value = one(answer)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return repr(value)
    if isinstance(value, str):
        return f"the string {value if len(value) <= 30 else value[:29] + '…'!r}"
    size = f" of {len(value)} entries" if isinstance(value, list) and value is not answer else ""
    name = type(answer if size else value).__name__.replace("ndarray", "array")
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}{size}"


def named(error):
    """What an exception says, on one line of at most 200 characters, without a full stop."""
    text = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")
    return text if len(text) <= 200 else text[:199] + "…"


def shown(args):
    """A tuple of arguments as one reads them: numbers and words themselves, else what they are."""
    plain = (numbers.Number, str)
    words = [repr(one(arg)) if isinstance(one(arg), plain) else described(arg) for arg in args]
    return f"({', '.join(words)})"


def entry(key, place):
    """The words for an entry of what stands at `place`: " as entry 2 of entry 1"."""
    return f" as entry {key}{place.replace(' as ', ' of ', 1)}"


def needed_one(want, whole):
    """The words for an answer like `want`: "one number", "True or False"."""
    if isinstance(want, frozenset):
        return "one or several letters"
    if isinstance(want, (bool, str)):
        return "True or False" if isinstance(want, bool) else "a word"
    return "a whole number" if whole else "one number"


def needed_many(want, whole):
    """The words for a list of answers like `want`: "3 whole numbers"."""
    if any(isinstance(part, (dict, list)) for part in want):
        return f"{len(want)} entries"
    if any(isinstance(part, (bool, str, frozenset)) for part in want):
        return f"{len(want)} answers"
    return f"{len(want)} {'whole ' * whole}number{'s' * (len(want) != 1)}"
