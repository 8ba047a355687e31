"""Measure and print the tables; with --write, put them into benchmarks/README.md as well.

Contenders are interleaved: each round runs all of them, so that a busy machine slows all alike.
"""

import argparse
import datetime
import os
import platform
import statistics
import time
import warnings
from functools import partial
from pathlib import Path

import torch

from benchmarks.contenders import DENSITY, PRODUCTS, TOP, TRACE, ours_sweep, two_knobs
from benchmarks.problems import ERROR, cnn, mlp
from helpers import gradient

README = Path(__file__).with_name("README.md")
CLOCK = time.perf_counter  # or the processor's time, with --cpu
SEEDS = (0, 1, 2)  # a lucky first guess does not count
SLOT = 0.25  # seconds: a short call is repeated, so that one hiccup does not decide
COUNTS = (41, 401)  # values of α in a sweep
PROBES = torch.logspace(-2, 2, 5, dtype=torch.float64)  # the ones where peers are timed


def seconds(call, slot=0.0):
    """Seconds a call takes, on average over as many calls as fill the slot."""
    begin, count = CLOCK(), 0
    while not count or CLOCK() - begin < slot:
        call()
        count += 1
    return (CLOCK() - begin) / count


def interleaved(calls, rounds):
    """The median seconds of each call over `rounds` rounds, after one round to warm up."""
    for call in calls.values():
        call()
    times = [{name: seconds(call, SLOT) for name, call in calls.items()} for _ in range(rounds)]
    return {name: statistics.median(spent[name] for spent in times) for name in calls}


def cheapest(answer, ladder, truth, error):
    """The first setting whose answer is within `error` of the truth from each seed, or None."""

    def misses(setting, seed):
        torch.manual_seed(seed)
        found = torch.as_tensor(answer(setting), dtype=torch.float64)
        return float((found / truth.cpu() - 1).abs().max()) > error

    return next((s for s in ladder if not any(misses(s, seed) for seed in SEEDS)), None)


def ready(contenders, truth, error):
    """One call for each contender at its cheapest setting; those that never reach it drop out."""
    calls = {}
    for name, (answer, ladder) in contenders.items():
        setting = cheapest(answer, ladder, truth, error)
        if setting is not None:
            calls[name] = lambda a=answer, s=setting: a(s)
    return calls


def asked(contenders, *question):
    """The contenders with their question filled in: what is left to choose is the setting."""
    return {
        name: (lambda s, a=answer: a(*question, s), ladder)
        for name, (answer, ladder) in contenders.items()
    }


def row(task, times, unit):
    """A line of the table: each contender's time, ours over the fastest peer, ours in gradients."""
    peers = {name: spent for name, spent in times.items() if name != "ours"}
    best = min(peers.values(), default=float("nan"))
    cells = [f"{1e3 * times[name]:.1f}" if name in times else "missed" for name in TOP]
    cells += [f"{times['ours'] / best:.3f}", f"{times['ours'] / unit:.0f}"]
    return f"| {task} | {' | '.join(cells)} |"


def gradient_seconds(problem, rounds):
    return interleaved({"g": lambda: gradient(problem.loss, problem.params)}, rounds)["g"]


def sweep_calls(problem):
    """Ours for all α, the peers at five of them: their time is to be multiplied by count / 5."""
    twins = [problem.twin(float(alpha)) for alpha in PROBES]
    truth = torch.cat([twin.top() for twin in twins])

    def at_probes(answer):
        return lambda setting: torch.stack([answer(twin, 1, setting)[0] for twin in twins])

    def at_all(count):
        amounts = torch.logspace(-2, 2, count, dtype=torch.float64)
        return lambda tol: ours_sweep(problem, amounts, tol).values[:: count // 4, 0]

    contenders = {name: (at_probes(answer), ladder) for name, (answer, ladder) in TOP.items()}
    ladder = contenders.pop("ours")[1]
    contenders |= {count: (at_all(count), ladder) for count in COUNTS}
    return ready(contenders, truth, ERROR)


def sweep_rows(problem, rounds, unit):
    times = interleaved(sweep_calls(problem), rounds)
    for count in COUNTS:
        peers = {name: times[name] * count / len(PROBES) for name in set(times) - set(COUNTS)}
        yield row(f"λ_max at {count} α, {problem.name}", {"ours": times[count]} | peers, unit)


def top_rows(problem, rounds, unit):
    for k, task in ((1, "λ_max"), (10, "top 10")):
        calls = ready(asked(TOP, problem, k), problem.top(k), ERROR)
        yield row(f"{task}, {problem.name}", interleaved(calls, rounds), unit)


def trace_row(problem, rounds, unit):
    truth = torch.tensor(TRACE["ours"][0](problem, 0), dtype=torch.float64)
    calls = ready(asked(TRACE, problem), truth, 1e-2)
    return row(f"trace to 1 %, {problem.name}", interleaved(calls, rounds), unit)


def density_row(problem, rounds, unit):
    calls = {name: lambda a=answer: a(problem, 40) for name, answer in DENSITY.items()}
    return row(f"density, 4 × 40 steps, {problem.name}", interleaved(calls, rounds), unit)


def knob_row(problem, rounds):
    """One knob at 41 values against two knobs at 41 × 41, to a residual of 1e-3 of each λ."""
    line = torch.logspace(-2, 2, 41, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    calls = {1: lambda: ours_sweep(problem, line, 1e-3), 2: lambda: two_knobs(problem, grid, 1e-3)}
    one, two = interleaved(calls, rounds).values()
    few, many = calls[1](), calls[2]()
    worst = float((many.residuals / many.values).max())
    cells = (
        f"{1e3 * one:.0f} | {1e3 * two:.0f} | {two / one:.2f} | {few.products} | {many.products}"
    )
    return f"| {problem.name} | {cells} | {worst:.1e} |"


def block_row(problem, rounds, unit):
    """Gradients for each vector of a block of 1, 8 and 32: ours, and the fastest peer."""
    products, cells = {name: make(problem) for name, make in PRODUCTS.items()}, []
    for m in BLOCKS:
        V = torch.randn(m, problem.size)
        times = interleaved({n: partial(p, V) for n, p in products.items()}, rounds)
        ours, best = times.pop("ours"), min(times, key=times.get)
        each = [f"{spent / m / unit:.2f}" for spent in (ours, times[best])]
        cells += [each[0], f"{each[1]} ({best})"]
    return f"| {problem.name} | {' | '.join(cells)} |"


def report(rounds, names):
    problems = [mlp(name) for name in names if name.startswith("mlp")]
    problems += [cnn()] if "small cnn" in names else []
    tasks, knobs, blocks = [*HEAD], [*KNOBS_HEAD], [*BLOCKS_HEAD]
    for problem in problems:
        unit = gradient_seconds(problem, rounds)
        tasks += say(sweep_rows(problem, rounds, unit))
        tasks += say(top_rows(problem, rounds, unit))
        if problem.name.startswith("mlp"):
            tasks += say([trace_row(problem, rounds, unit)])
        tasks += say([density_row(problem, rounds, unit)])
        if len(problem.weights) > 2:
            knobs += say([knob_row(problem, rounds)])
        blocks += say([block_row(problem, rounds, unit)])
    return "\n".join([*where(rounds), "", *tasks, "", *knobs, "", *blocks])


HEAD = (
    "| task | ours, ms | PyHessian | eigenthings | curvlinops | ours / best peer | gradients |",
    "|---|---|---|---|---|---|---|",
)
KNOBS_HEAD = (
    "One knob at 41 values, two knobs at 41 × 41, every residual below 1e-3 of its λ:",
    "",
    "| net | one, ms | two, ms | two / one | products | products | worst residual / λ |",
    "|---|---|---|---|---|---|---|",
)
BLOCKS = (1, 8, 32)
BLOCKS_HEAD = (
    "One product, in gradients, for each vector of a block; set-up is not counted:",
    "",
    "| net | alone: ours | peer | of 8: ours | peer | of 32: ours | peer |",
    "|---|---|---|---|---|---|---|",
)


def say(lines):
    lines = list(lines)
    print(*lines, sep="\n", flush=True)
    return lines


def where(rounds):
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    yield (
        f"{datetime.date.today()}, torch {torch.__version__}, float32, {os.cpu_count()} cores "
        f"({torch.get_num_threads()} threads, {platform.machine()}), medians of {rounds} rounds "
        f"of {CLOCK.__name__.replace('_', ' ')}, load average when it ended {load}."
    )


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nets", nargs="*", default=["mlp 1k", "mlp 9k", "mlp 300k", "small cnn"])
    parser.add_argument("--write", action="store_true", help="put the tables into README.md")
    parser.add_argument("--cpu", action="store_true", help="processor time, for a busy machine")
    given = parser.parse_args()
    global CLOCK
    CLOCK = time.process_time if given.cpu else time.perf_counter
    warnings.simplefilter("ignore")
    tables = report(given.rounds, given.nets)
    print(tables)
    if given.write:
        before, _, rest = README.read_text(encoding="utf-8").partition("<!-- tables -->")
        after = rest.partition("<!-- end -->")[2]
        text = f"{before}<!-- tables -->\n\n{tables}\n\n<!-- end -->{after}"
        README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
