"""The same questions asked of any network: here what computes meets what draws."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill

import torch
from torch import Tensor, nn

from helpers.live._audit_panels import audit_panels
from helpers.live._explore import still
from helpers.live._figures import SETTINGS
from helpers.live._numbers import number
from helpers.maps._find import Symmetries, Symmetry
from helpers.measures._curvature import Estimate
from helpers.measures._spectrum import Density, spectral_density
from helpers.nets._params import Params, flatten, positive, seeded
from helpers.nets._train import bar
from helpers.sweep._asked import asked
from helpers.sweep._audit import BOUND, orbit, readings, strongest, traces

STAYS = (
    "No positive rescaling of the weights that keeps the function was found. This is no proof that "
    "these numbers belong to the function: shifts and matrices were not looked for."
)
KEPT = "loss", "adaptive sharpness", "Fisher-Rao norm"  # by any rescaling of the weights


@dataclass(frozen=True)
class Report:
    """What was found about a network: `str(report)` has it all, `report.words` is for a paper."""

    parameters: int  # n, frozen ones among them
    examples: int
    said: str  # which loss, the module's mode, and a precision that is not its own
    slope: float  # ‖∇L(θ)‖₂, 0 at a minimum
    symmetries: Symmetries
    top: Tensor  # (k,) the largest eigenvalues of Hess L(θ)
    residuals: Tensor  # (k,) an eigenvalue lies within this of each
    trace: Estimate
    density: Density
    radius: float  # of the ball of ε-sharpness, a hundredth of ‖θ‖, at the twins too
    readings: dict[str, dict[str, float]]  # "here", "flattest", "sharper": measures by name
    errors: dict[str, float]  # the standard error of the trace at each, all from the same products
    twins: dict[str, Params]  # state_dicts of "flattest" and "sharper"; empty without symmetry
    knob: Symmetry | None = None  # the rescaling that raises the trace most; along it:
    amounts: Tensor | None = None  # (A,) c
    tops: Tensor | None = None  # (A,) λ_max
    traces: Tensor | None = None  # (A,) tr Hess L
    at: dict[str, float] = field(default_factory=dict)  # the c of each twin
    moved: float = 0.0  # the largest change of an output at the twins, over the largest output
    flips: int = 0  # how many answers change there, one for each prediction
    answers: int = 0  # how many there are: more than examples, where each has many

    @property
    def words(self) -> str:
        """A paragraph for a paper: what was measured, and what it cannot mean."""
        here = {name: number(value) for name, value in self.readings["here"].items()}
        said = (
            f"At these weights the Hessian of the loss on {self.examples} examples has the largest "
            f"eigenvalue {here['λ_max']} and the trace {here['trace']}{self._sure()}; the "
            f"gradient's length is {number(self.slope, 2)}. "
        )
        return said + (self._moves(here) if self.knob else STAYS)

    def _sure(self) -> str:
        error = self.trace.standard_error
        return f" (standard error {number(error, 2)})" if error else ""

    def _moves(self, here: dict[str, str]) -> str:
        up = self.knob.up if isinstance(self.knob.up, str) else " and ".join(self.knob.up)
        low, high = (number(self.readings[twin]["λ_max"]) for twin in self.twins)
        changed = f"{self.flips:,} of {self.answers:,} answers change and " if self.answers else ""
        return (
            "These numbers belong to the weights, not to the function: one rescaling, of layer "
            f"{up} by a factor from 1/{BOUND:g} to {BOUND:g}, takes the eigenvalue from {low} to "
            f"{high}, while {changed}no output changes by more than {number(self.moved, 2)} of "
            f"the largest. {self.symmetries.dim} factors are free in this way, and together they "
            "reach at least as far. So a comparison by curvature needs a rule for the scale of the "
            "weights. The rescaling leaves "
            f"{', '.join(f'{name} {here[name]}' for name in KEPT)} unchanged; no "
            "rescaling can tell whether any of these numbers predicts generalization."
        )

    def __str__(self) -> str:
        rows = [["", *self.readings]]
        for name in self.readings["here"]:
            rows.append([name, *(number(at[name]) for at in self.readings.values())])
            if name == "trace" and any(self.errors.values()):
                rows.append(["  standard error", *(number(e, 2) for e in self.errors.values())])
        table = "\n".join(f"{row[0]:20}" + "".join(f"{x:>12}" for x in row[1:]) for row in rows)
        tops, off = ", ".join(map(number, self.top.tolist())), float(self.residuals.max())
        off = max(off, float(torch.finfo(self.top.dtype).eps * self.top.abs().max()))
        places = ", ".join(f"{number(c)} ({name})" for name, c in self.at.items()) or "none"
        return (
            f"{self.parameters} parameters, {self.examples} examples\n{self.said}\n"
            f"{self.symmetries}\n\n"
            f"largest eigenvalues {tops} (± {number(off, 1)}); ε = {number(self.radius)}; "
            f"c at the twins, by λ_max: {places}\n\n{table}\n\n{fill(self.words, 95)}"
        )

    def figure(self) -> None:
        """Show the eigenvalues here, the curvature along the rescaling, and what it moved."""
        alt = "The eigenvalues, the curvature along a rescaling, each measure's change at a twin."
        still(self._panels(), name="audit", caption=f"{self.parameters} parameters.", alt=alt)

    def save(self, folder: str | Path) -> None:
        """Write report.txt, figure-1.svg and on, and the twins: flattest.pt and sharper.pt."""
        (folder := Path(folder)).mkdir(parents=True, exist_ok=True)
        (folder / "report.txt").write_text(f"{self}\n", encoding="utf-8")
        for k, panel in enumerate(self._panels(), 1):
            panel.savefig(folder / f"figure-{k}.svg")
        for twin, state in self.twins.items():
            torch.save(state, folder / f"{twin}.pt")

    def _panels(self):
        here, there = self.readings["here"], self.readings.get("sharper", {})
        ratios = [(name, there[name] / here[name]) for name in there if here[name]]
        curves = [self.amounts, self.tops, self.traces, self.at.get("sharper")]
        density = self.density.nodes.cpu(), self.density.shares.cpu()
        with SETTINGS.drawing():
            return audit_panels(*density, curves, ratios)


def audit(
    module: nn.Module,
    data,
    x=None,
    *,
    loss=None,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> Report:
    """Return what can be said about the flatness of `module`, and how far a rescaling moves it.

    `data` is a pair (X, y), where X may be a tuple or a dict of tensors, or a loader of pairs; `x`
    an input to find symmetries with, or how many rows of X: by default two, or 32 where two do not
    reach each layer, or all where a few do not run and all are small; `loss` a mean over rows of
    (outputs, y), by default cross-entropy of (n, classes) or half the squared error. A loss that is
    no mean over rows (a sum, class weights, a contrastive loss) is applied as it is to (X, y), to
    all rows at once, and refused over a loader. The module is measured in its mode, half precision
    as float32 (the twins too), frozen parameters like others. One rescaling is followed from
    c = 1/100 to 100. Its flattest and its sharpest twin are measured afresh, except for the trace:
    it follows by Theorem 3 from products here, exact up to 1,500 parameters, else by random signs.
    Cost: some 330 Hessian-vector products; in small networks some 200, and one for each parameter.

    Raises:
        ValueError: data, a loss or a module that does not fit, in the words of the function that
            takes it; a non-finite loss; outputs that a twin changes after all.
    """
    module, params, L, slope, symmetries, said = asked(module, data, x, loss)
    theta = flatten(params)
    n, dice, radius = len(theta), seeded(generator, theta), float(theta.norm()) / 100
    positive("audit", "length of the weights", radius, "the radius of ε-sharpness is a share of it")
    steps = _steps(module, L, params, symmetries, radius, dice)
    examples = L.examples if hasattr(L, "examples") else len(L.X)
    found = {"examples": examples, "said": said, "radius": radius, "twins": {}}
    for fields in bar(steps, "audit, in 5 steps", show=progress):
        found |= fields
    return Report(parameters=n, slope=slope, **found)


def _steps(module, L, params: Params, symmetries: Symmetries, radius: float, dice):
    """Yield the fields of the report, as they are measured."""
    k = min(5, sum(block.numel() for block in params.values()))
    knob, power, sums = strongest(L, params, symmetries, dice)
    trace = Estimate(*map(float, traces(power, sums, [1.0])))
    here, top = readings(L, params, radius, dice, trace.value, k=k)
    places, errors = {"here": here}, {"here": trace.standard_error}
    yield {"symmetries": symmetries, "top": top.values, "residuals": top.residuals, "trace": trace}
    density = spectral_density(L, params, steps=40, samples=2, generator=dice)
    yield {"density": density, "readings": places, "errors": errors}
    if knob:
        fields, twins = orbit(L, params, knob, power, sums, dice)
        yield fields | {"twins": {name: _loaded(module, twin) for name, twin in twins.items()}}
        for name, twin in twins.items():
            there, errors[name] = map(float, traces(power, sums, [fields["at"][name]]))
            places[name] = readings(L, twin, radius, dice, there)[0]
            yield {"readings": places}


def _loaded(module: nn.Module, params: Params) -> Params:
    """Return the state_dict of the module with these parameters: tied ones stay tied."""
    state, names = copy.deepcopy(module.state_dict()), dict(module.named_parameters())
    if not names.keys() <= state.keys():  # it gives them names of its own
        module = copy.deepcopy(module)
        state, names = module.state_dict(), dict(module.named_parameters())
    with torch.no_grad():
        for name, p in names.items():
            state.get(name, p).copy_(params[name])
    return state
