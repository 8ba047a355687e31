"""The check of an exercise says one of three things, and the hint only after a wrong answer.

Oracle: the sentences as a student reads them, written out here.
"""

import pytest

from helpers import check

HINT = "count the weights."
YOUR_TURN, RIGHT, NOT_YET = "Your turn: replace None.", "Right.", f"Not yet: {HINT}"


@pytest.mark.parametrize(
    ("answer", "truth", "said"),
    [
        (None, 5, YOUR_TURN),
        (None, None, YOUR_TURN),
        ((None, None), (1, 2), YOUR_TURN),
        (5.04, 5, RIGHT),
        (5.06, 5, NOT_YET),
        (0, 5, NOT_YET),
        ([5, 20], (5, 20), RIGHT),
        ([5, None], (5, 20), NOT_YET),
        ([5], (5, 20), NOT_YET),
        ([], (5, 20), NOT_YET),
        ("AC", "AC", RIGHT),
        ("", "AC", NOT_YET),
        (False, True, NOT_YET),
        (["breaks", None], ["breaks", "passes"], NOT_YET),
    ],
)
def test_what_a_student_reads(answer, truth, said, capsys):
    assert check(answer, truth, hint=HINT) is (said == RIGHT)
    assert capsys.readouterr().out == f"{said}\n"


def test_the_tolerance_is_a_choice(capsys):
    assert check(5.04, 5, hint=HINT, rel_tol=1e-3) is False
    assert check(5.004, 5, hint=HINT, rel_tol=1e-3) is True
    assert capsys.readouterr().out == f"{NOT_YET}\n{RIGHT}\n"
