"""The table on a GPU: sweep, λ_max, top 10, trace, density and products, the peers beside ours.

`python -m benchmarks.gpu` measures nets of 300k and of 10M parameters, ends within eight minutes,
and writes `benchmarks/gpu.md`, dated. Time is shared out evenly; a contender for which none is
left has no number. Where torchvision is installed, its ResNet-18 is trained and audited at the
end. Without a GPU it is a rehearsal on the processor, and the table says so.
"""

import argparse
import datetime
import statistics
import time
import warnings
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler, TensorDataset

from benchmarks.contenders import DENSITY, PRODUCTS, TOP, TRACE, ours_sweep
from benchmarks.problems import ERROR, SETTINGS, Problem, mlp
from helpers import audit, functional, gradient, hessian_operator, over_loader

TABLE = Path(__file__).with_name("gpu.md")
BUDGET = 440  # seconds for all: what runs when they are over may end within the eight minutes
ROUNDS = 3
ALPHAS = torch.logspace(-2, 2, 41, dtype=torch.float64)
PROBES = slice(None, None, 20)  # the three of them where peers are timed
HEAD = (
    "| task | ours, ms | PyHessian | eigenthings | curvlinops | ours / best peer |",
    "|---|---|---|---|---|---|",
)


def on(device, name):
    net = mlp(name)
    return Problem(name, net.module.to(device), net.X.to(device), net.y.to(device))


def once(call):
    """Return the seconds of one call, with what the GPU still has to do, and its answer."""
    begin, answer = time.perf_counter(), call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begin, answer


def cheapest(answer, ladder, truth, error, until):
    """Return a call at the first setting whose answer is within `error` of the truth, or None."""
    for setting in ladder:
        torch.manual_seed(0)
        spent, found = once(partial(answer, setting))
        found = torch.as_tensor(found, dtype=torch.float64).cpu().flatten()
        if float((found / truth.cpu() - 1).abs().max()) <= error:
            return partial(answer, setting)
        if time.monotonic() + 2 * spent > until:
            return None
    return None


def ready(contenders, truth, error, until):
    """Return a call for each contender that reaches the error; each has its share of the time."""
    calls = {}
    for i, (name, (answer, ladder)) in enumerate(contenders.items()):
        now = time.monotonic()
        share = now + (until - now) / (len(contenders) - i + 1)  # one more share is for the timing
        try:
            call = cheapest(answer, ladder, truth, error, share)
        except Exception as problem:  # a peer's own: the table goes on without it
            print(f"  {name}: {type(problem).__name__}: {str(problem)[:100]}")
            continue
        if call is not None:
            calls[name] = call
    return calls


def timed(calls, until):
    """Return the median seconds of each call, interleaved, of as many rounds as there is time."""
    spent = {name: [] for name in calls}
    for _ in range(ROUNDS + 1):  # the first warms up, and counts only where it stays alone
        for name, call in calls.items():
            if time.monotonic() + max(spent[name], default=0) > until:
                continue
            try:
                spent[name].append(once(call)[0])
            except Exception as problem:
                print(f"  {name}: {type(problem).__name__}: {str(problem)[:100]}")
    return {name: statistics.median(s[1:] or s) for name, s in spent.items() if s}


def line(task, times, peers_times=1):
    cells = {n: s * (1 if n == "ours" else peers_times) for n, s in times.items()}
    best = min((s for n, s in cells.items() if n != "ours"), default=None)
    ratio = f"{cells['ours'] / best:.3f}" if best and "ours" in cells else "–"
    shown = [f"{1e3 * cells[name]:.1f}" if name in cells else "–" for name in TOP]
    return f"| {task} | {' | '.join(shown)} | {ratio} |"


def sweep_line(net, until):
    twins = [net.twin(float(alpha)) for alpha in ALPHAS[PROBES]]
    truth = torch.cat([twin.top(tol=1e-4) for twin in twins])  # its square is what a value errs by

    def peer(answer, setting):
        return torch.cat([answer(twin, 1, setting).cpu() for twin in twins])

    contenders = {name: (partial(peer, answer), ladder) for name, (answer, ladder) in TOP.items()}
    ours = lambda tol: ours_sweep(net, ALPHAS, tol).values[PROBES, 0]  # noqa: E731
    contenders["ours"] = (ours, TOP["ours"][1])
    times = timed(ready(contenders, truth, ERROR, until), until)
    return line("λ_max at 41 α", times, len(ALPHAS) / len(twins))


def top_line(k, task, net, until):
    contenders = {n: (partial(answer, net, k), ladder) for n, (answer, ladder) in TOP.items()}
    return line(task, timed(ready(contenders, net.top(k), ERROR, until), until))


def trace_line(net, until):
    truth = torch.tensor([float(TRACE["ours"][0](net, 0))], dtype=torch.float64)
    contenders = {n: (partial(answer, net), ladder) for n, (answer, ladder) in TRACE.items()}
    return line("trace to 1 %", timed(ready(contenders, truth, 1e-2, until), until))


def density_line(net, until):
    calls = {name: partial(answer, net, 20) for name, answer in DENSITY.items()}
    return line("density, 4 × 20 steps", timed(calls, until))


def product_line(net, until):
    V = torch.randn(8, net.size, device=net.X.device)
    calls = {name: partial(make(net), V) for name, make in PRODUCTS.items()}
    return line("8 products, set-up not counted", timed(calls, until))


TASKS = (  # the dear ones last: what the others leave is theirs
    partial(top_line, 1, "λ_max"),
    partial(top_line, 10, "top 10"),
    trace_line,
    product_line,
    sweep_line,
    density_line,
)


def rows(net, until):
    unit = timed({"g": lambda: gradient(net.loss, net.params)}, until)["g"]
    yield f"\n**{net.name}**: {net.size:,} parameters, one gradient {1e3 * unit:.2f} ms.\n"
    yield from HEAD
    for i, task in enumerate(TASKS):
        now = time.monotonic()
        yield task(net, now + (until - now) / (len(TASKS) - i))


IMAGES = (50_000, 20_000, 10_000, 5_000, 2_000, 1_000, 100)  # CIFAR-10 has the first
BATCH = 2000
PRODUCTS_OF_AN_AUDIT = 800  # in time: products, gradients, and a third of it for luck


def images(count, device):
    """Return images of 32 × 32 in ten classes: a random image for each, faint under noise."""
    torch.manual_seed(0)
    of_class, y = torch.randn(10, 3, 32, 32), torch.randint(10, (count,))
    X = torch.randn(count, 3, 32, 32) + 0.06 * of_class[y]
    return X.to(device), y.to(device)


def batches(X, y, size):
    return DataLoader(
        TensorDataset(X, y),
        sampler=BatchSampler(SequentialSampler(y), size, False),
        batch_size=None,
    )


def trained_resnet(X, y, epochs=3):
    from torchvision.models import resnet18

    net = resnet18(num_classes=10).to(X.device)
    descent = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for _ in range(epochs):
        for inputs, targets in batches(X, y, 250):
            descent.zero_grad()
            F.cross_entropy(net(inputs), targets).backward()
            descent.step()
    return net.eval()


def audit_lines(device, until):
    """One ResNet-18, on as many images as there is time for."""
    try:
        X, y = images(IMAGES[0] if device == "cuda" else 100, device)
        net = trained_resnet(X, y)
    except ImportError:
        yield "\nNo ResNet-18 was audited: torchvision is not installed."
        return
    f, params = functional(net)
    H = hessian_operator(over_loader(f, batches(X[:BATCH], y[:BATCH], BATCH)), params)
    ones = torch.ones(sum(p.numel() for p in params.values()), device=device)
    H(ones)  # warms up
    an_image = once(lambda: H(ones))[0] / len(X[:BATCH])
    left = until - time.monotonic()
    count = next((n for n in IMAGES if PRODUCTS_OF_AN_AUDIT * an_image * n < left), IMAGES[-1])
    data = batches(X[:count], y[:count], BATCH)
    spent, report = once(lambda: audit(net, data, X[:2], progress=False))
    here, sharp = report.readings["here"]["λ_max"], report.readings["sharper"]["λ_max"]
    yield "\n**audit of a ResNet-18**, torchvision's, trained for three epochs on made-up images\n"
    yield "| parameters | images of 32 × 32 | seconds | factors | λ_max | λ_max of a twin |"
    yield "|---|---|---|---|---|---|"
    size, factors = f"{report.parameters:,} | {report.examples:,}", f"{report.symmetries.dim:,}"
    twin = f"{sharp:.3g}; {report.flips} answers change"
    yield f"| {size} | {spent:.0f} | {factors} | {here:.3g} | {twin} |"


def where(device):
    name = torch.cuda.get_device_name() if device == "cuda" else "no GPU, a rehearsal on the CPU"
    yield "# On a GPU\n"
    yield (
        f"{datetime.date.today()}, torch {torch.__version__}, float32, {name}; medians of at most "
        f"{ROUNDS} interleaved rounds, each contender at its cheapest setting that is within one "
        "in a thousand of the truth (a trace: one in a hundred).\nPeers sweep at three of the 41 "
        "α and their time is multiplied; a dash: not reached, or not in the time that there was.\n"
        "Written by `python -m benchmarks.gpu`, which ends within eight minutes."
    )


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--nets", nargs="*", choices=SETTINGS, default=["mlp 300k", "mlp 10M"])
    parser.add_argument("--seconds", type=float, default=BUDGET)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    end, lines = time.monotonic() + given.seconds, list(where(given.device))
    parts = [lambda until, name=name: rows(on(given.device, name), until) for name in given.nets]
    parts.append(partial(audit_lines, given.device))
    for i, part in enumerate(parts):
        now = time.monotonic()
        for text in part(now + (end - now) / (len(parts) - i)):
            print(text, flush=True)
            lines.append(text)
            TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")  # what is done is kept


if __name__ == "__main__":
    main()
