"""Each contender answers each question at a setting; a ladder of settings goes from cheap to dear.

A contender is timed at its cheapest setting that reaches the error, found first and not timed.
Setting up counts: a reader who asks once pays for it.
"""

import warnings

import torch

from benchmarks.problems import CRITERION
from helpers import (
    curvature_sweep,
    hessian_operator,
    layer_traces,
    spectral_density,
    top_eigenvalues,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import curvlinops
    import hessian_eigenthings as eigenthings
    import pyhessian
    import pyhessian.utils
    from scipy.sparse.linalg import eigsh

TOLS = (1e-1, 6e-2, 3e-2, 2e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
STEPS = (4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 40, 60, 100)
SAMPLES = (30, 96, 300, 900)


def ours_top(problem, k, tol):
    generator = torch.default_generator
    return top_eigenvalues(problem.loss, problem.params, k=k, tol=tol, generator=generator).values


def pyhessian_top(problem, k, tol):
    found, _ = _pyhessian(problem).eigenvalues(maxIter=400, tol=tol, top_n=k)
    return torch.tensor(found).sort(descending=True).values


def eigenthings_top(problem, k, steps):
    steps = max(steps, k + 1)  # it refuses fewer
    given = {"max_iter": steps, "tol": 0.0, "which": "LA", "seed": torch.initial_seed()}
    found = eigenthings.lanczos(_eigenthings(problem), k=k, **given)
    return found.eigenvalues.sort(descending=True).values


def curvlinops_top(problem, k, tol):
    H = _curvlinops(problem).to_scipy()
    found = eigsh(H, k=k, which="LA", tol=tol, return_eigenvectors=False)
    return torch.tensor(found.copy()).sort(descending=True).values


def ours_trace(problem, _):
    loss, params = problem.as_rows()
    return sum(layer_traces(loss, params).values())


def pyhessian_trace(problem, samples):
    return sum(_pyhessian(problem).trace(maxIter=samples, tol=0.0)) / samples


def eigenthings_trace(problem, samples):
    given = {"num_matvecs": samples, "method": "hutch++", "seed": torch.initial_seed()}
    found = eigenthings.trace(_eigenthings(problem), **given)
    return float(found.estimate)


def curvlinops_trace(problem, samples):
    return float(curvlinops.xtrace(_curvlinops(problem), samples))


def ours_density(problem, steps):
    return spectral_density(problem.loss, problem.params, steps=steps, samples=4)


def eigenthings_density(problem, steps):
    return eigenthings.spectral_density(_eigenthings(problem), num_runs=4, lanczos_steps=steps)


def curvlinops_density(problem, steps):
    return curvlinops.lanczos_approximate_spectrum(_curvlinops(problem), steps, num_repeats=4)


def ours_sweep(problem, amounts, tol):
    up, down = problem.ends
    exponents, generator = {up: 1, down: -1}, torch.default_generator
    loss, params = problem.loss, problem.params
    return curvature_sweep(loss, params, exponents, amounts, tol=tol, generator=generator)


def two_knobs(problem, amounts, tol):
    """The first, a middle and the last layer, by a, b/a and 1/b: amounts are rows (a, b)."""
    first, middle, *_, last = problem.weights
    exponents = {first: (1, 0), middle: (-1, 1), last: (0, -1)}
    return curvature_sweep(problem.loss, problem.params, exponents, amounts, tol=tol)


def ours_product(problem):
    H = hessian_operator(problem.loss, problem.params)
    return lambda V: H(V if len(V) > 1 else V[0])


def pyhessian_product(problem):
    H, sizes = _pyhessian(problem), [block.numel() for block in problem.params.values()]

    def one(v):
        v = [t.view_as(p) for t, p in zip(v.split(sizes), H.params, strict=True)]
        return pyhessian.utils.hessian_vector_product(H.gradsH, H.params, v)

    return lambda V: [one(v) for v in V]


def eigenthings_product(problem):
    H = _eigenthings(problem)
    return lambda V: [H.matvec(v) for v in V]


def curvlinops_product(problem):
    H = _curvlinops(problem)
    return lambda V: H @ V.T


def _pyhessian(problem):
    data, cuda = (problem.X, problem.y), problem.X.is_cuda
    return pyhessian.hessian(problem.module, CRITERION, data=data, cuda=cuda)


def _eigenthings(problem):
    loss = eigenthings.supervised_loss(CRITERION)
    return eigenthings.HessianOperator(problem.module, [(problem.X, problem.y)], loss)


def _curvlinops(problem):
    params, data = list(problem.module.parameters()), [(problem.X, problem.y)]
    return curvlinops.HessianLinearOperator(
        problem.module, CRITERION, params, data, check_deterministic=False
    )


TOP = {
    "ours": (ours_top, TOLS),
    "PyHessian": (pyhessian_top, TOLS),
    "eigenthings": (eigenthings_top, STEPS),
    "curvlinops": (curvlinops_top, TOLS),
}
TRACE = {
    "ours": (ours_trace, (0,)),
    "PyHessian": (pyhessian_trace, SAMPLES),
    "eigenthings": (eigenthings_trace, SAMPLES),
    "curvlinops": (curvlinops_trace, SAMPLES),
}
DENSITY = {  # PyHessian's calls torch.eig, which torch no longer has
    "ours": ours_density,
    "eigenthings": eigenthings_density,
    "curvlinops": curvlinops_density,
}
PRODUCTS = {
    "ours": ours_product,
    "PyHessian": pyhessian_product,
    "eigenthings": eigenthings_product,
    "curvlinops": curvlinops_product,
}
