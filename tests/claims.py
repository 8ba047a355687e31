"""One way to say that a numbered claim holds, and the worst error seen for each."""

OBSERVED: dict[int, tuple[float, float]] = {}


def holds(claim, error, tol):
    """Assert error <= tol (a NaN fails) and remember the worst error of this claim."""
    error = float(error)
    assert error <= tol, f"claim {claim} needs error <= {tol}, got {error}."
    worst, least = OBSERVED.get(claim, (0.0, tol))
    OBSERVED[claim] = max(worst, error), min(least, tol)


def below(claim, small, large, slack=0.0):
    """Assert small <= large, up to a relative slack: the error is by how much it is missed."""
    small, large = float(small), float(large)
    holds(claim, max(0.0, small - large) / (abs(large) or 1.0), slack)
