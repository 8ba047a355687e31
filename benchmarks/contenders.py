"""Each contender answers each question at a setting; a ladder of settings goes from cheap to dear.

A contender is timed at its cheapest setting that reaches the error, found first and not timed.
Setting up counts: a reader who asks once pays for it.
"""

import warnings

import torch

from benchmarks.problems import CRITERION
from helpers.curvature import top_eigenvalues
from helpers.gauss_newton import layer_traces
from helpers.spectrum import spectral_density
from helpers.sweep import curvature_sweep

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import curvlinops
    import hessian_eigenthings as eigenthings
    import pyhessian
    from scipy.sparse.linalg import eigsh

TOLS = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
STEPS = (4, 6, 8, 10, 12, 15, 20, 25, 30, 40, 60, 100)
SAMPLES = (30, 96, 300, 900)


def ours_top(problem, k, tol):
    return top_eigenvalues(problem.loss, problem.params, k=k, tol=tol).values


def pyhessian_top(problem, k, tol):
    found, _ = _pyhessian(problem).eigenvalues(maxIter=400, tol=tol, top_n=k)
    return torch.tensor(found).sort(descending=True).values


def eigenthings_top(problem, k, steps):
    steps = max(steps, k + 1)  # it refuses fewer
    found = eigenthings.lanczos(_eigenthings(problem), k=k, max_iter=steps, tol=0.0, which="LA")
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
    found = eigenthings.trace(_eigenthings(problem), num_matvecs=samples, method="hutch++")
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
    return curvature_sweep(problem.loss, problem.params, {up: 1, down: -1}, amounts, tol=tol)


def _pyhessian(problem):
    return pyhessian.hessian(problem.module, CRITERION, data=(problem.X, problem.y), cuda=False)


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
