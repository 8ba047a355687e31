"""The check behind every exercise: it tells a student at once whether an answer is right."""

import math


def check(answer, truth, *, hint, rel_tol=1e-2):
    """Print whether `answer` is `truth`, with the hint if it is not; return True or False.

    Numbers may differ by `rel_tol` relatively; lists and tuples are compared entry by entry; all
    else must be equal. `None`, the placeholder of every exercise, or nothing but `None` in a list
    or a tuple, is no answer yet: the hint is kept for those who have tried.
    """
    if _is_placeholder(answer):
        print("Your turn: replace None.")
        return False
    right = _same(answer, truth, rel_tol)
    print("Right." if right else f"Not yet: {hint}")
    return right


def _is_placeholder(answer):
    if isinstance(answer, (list, tuple)) and answer:
        return all(entry is None for entry in answer)
    return answer is None


def _same(answer, truth, rel_tol):
    if answer is None:
        return False
    if isinstance(truth, (list, tuple)):
        return len(answer) == len(truth) and all(
            _same(a, t, rel_tol) for a, t in zip(answer, truth, strict=True)
        )
    if isinstance(truth, (bool, str)):
        return answer == truth
    return math.isclose(float(answer), float(truth), rel_tol=rel_tol, abs_tol=1e-12)
