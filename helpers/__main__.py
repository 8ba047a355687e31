"""`python -m helpers audit module:build --data data.pt`: an audit without a notebook."""

import argparse
import re
import sys
from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import nn

from helpers._audit import audit


def main() -> None:
    """Print the report of a network in evaluation mode; modules are looked for in this folder."""
    parser = argparse.ArgumentParser(prog="python -m helpers")
    command = parser.add_subparsers(required=True).add_parser("audit", description=main.__doc__)
    command.add_argument("build", help="module:name of a network, or of a function that makes one")
    pair = "a .pt file of (X, y), or module:name of a pair, a loader, or a function that makes one"
    command.add_argument("--data", required=True, help=pair)
    command.add_argument("--weights", help="a .pt file with a state_dict")
    command.add_argument("--loss", help="module:name of a loss of (outputs, y), a mean over rows")
    command.add_argument("--rows", type=int, help="rows of X to search on; by default few")
    command.add_argument("--device", default="cpu")
    command.add_argument("--out", help="a folder for the report, its figure and two twins")
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a Windows console may lack our letters
    try:
        _run(parser.parse_args())
    except Exception as error:  # whatever the user's code raises is one sentence here
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        sys.exit(kind + " ".join(str(error).split()))


def _run(asked: argparse.Namespace) -> None:
    module = _network(asked)
    stored, need = asked.data.endswith(".pt"), "--data needs a .pt file or"
    data = _loaded(asked.data, "torch tensors (X, y)") if stored else _named(asked.data, need)
    loss = _named(asked.loss, "--loss needs") if asked.loss else None
    if asked.out:
        Path(asked.out).mkdir(parents=True, exist_ok=True)  # before the long computation
    report = audit(module, data() if callable(data) else data, asked.rows, loss=loss)
    if asked.out:
        report.save(asked.out)
    print(report)


def _network(asked: argparse.Namespace) -> nn.Module:
    module = _named(asked.build, "build needs")
    module = module if isinstance(module, nn.Module) or not callable(module) else module()
    if not isinstance(module, nn.Module):
        got = type(module).__name__
        raise ValueError(f"build needs a network or a function that makes one, got {got}.")
    if asked.weights:
        state, own = _loaded(asked.weights, "the network's state_dict"), module.state_dict()
        if other := [key for key in state if key not in own]:
            got = f"{other[0]!r} in place of {next(iter(own))!r}"
            raise ValueError(f"{asked.weights} needs only the network's state_dict, got {got}.")
        module.load_state_dict(state)
    return module.to(asked.device).eval()


def _named(text: str, need: str):
    where, _, name = text.partition(":")
    if not (where and name) or where.endswith(".py"):
        right = f": write {where.removesuffix('.py')}:{name}" if name else ""
        raise ValueError(f"{need} module:name, got {text!r}{right}.")
    return getattr(import_module(where), name)


def _loaded(path: str, what: str):
    try:
        return torch.load(path, map_location="cpu")
    except UnpicklingError as error:
        got = re.search(r"GLOBAL (\S+)", str(error))
        raise ValueError(f"{path} needs {what}, got {got[1] if got else 'others'}.") from error


if __name__ == "__main__":
    main()
