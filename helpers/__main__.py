"""`python -m helpers audit module:build --data data.pt`: an audit without a notebook."""

import argparse
import sys
from importlib import import_module

import torch
from torch import nn

from helpers._audit import audit


def main() -> None:
    """Print the report of a network, the one that `module:build` names or returns."""
    parser = argparse.ArgumentParser(prog="python -m helpers")
    command = parser.add_subparsers(required=True).add_parser("audit", description=main.__doc__)
    command.add_argument("build", help="module:name of a network, or of what makes one")
    command.add_argument("--data", required=True, help="a .pt file of (X, y), or module:name")
    command.add_argument("--weights", help="a .pt file with a state_dict")
    command.add_argument("--loss", help="module:name of a mean over rows of (outputs, y)")
    command.add_argument("--device", default="cpu")
    command.add_argument("--out", help="a folder for the report, its figure and two twins")
    try:
        _run(parser.parse_args())
    except Exception as error:  # whatever the user's code raises is one sentence here
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")


def _run(asked: argparse.Namespace) -> None:
    module = _named(asked.build)
    module = (module if isinstance(module, nn.Module) else module()).to(asked.device)
    if asked.weights:
        module.load_state_dict(torch.load(asked.weights, map_location=asked.device))
    data = torch.load(asked.data) if asked.data.endswith(".pt") else _named(asked.data)
    data = data() if callable(data) else data
    report = audit(module.eval(), data, loss=_named(asked.loss) if asked.loss else None)
    print(report)
    if asked.out:
        report.save(asked.out)


def _named(text: str):
    where, _, name = text.partition(":")
    return getattr(import_module(where), name)


if __name__ == "__main__":
    main()
