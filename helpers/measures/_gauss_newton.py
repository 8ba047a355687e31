"""The Gauss–Newton part of the Hessian, Jᵀ C J, and what it yields for free in ReLU nets."""

from __future__ import annotations

import torch
from torch import Tensor

from helpers.measures._derivatives import check_outputs
from helpers.measures._lanczos import Product
from helpers.measures._workers import add_up, pieces
from helpers.nets._losses import Loss
from helpers.nets._modules import full_precision
from helpers.nets._params import (
    Net,
    Params,
    as_matrix,
    as_ordinary,
    bias_name,
    check_finite,
    flatten,
    unflatten,
    weight_names,
)


def layer_traces(loss: Loss, params: Params) -> dict[str, float]:
    """Return t_k = tr H_kk, the trace of each block, in closed form for a layered ReLU net.

    f is linear in each block, so H_kk is the Gauss–Newton block and its trace a sum of squares:
    t_k = mean_i ‖a_i‖² tr(G_iᵀ C_i G_i), with a the layer's input, G = ∂f/∂z its Jacobian (N, h,
    out), and C = ∂²ℓ/∂f² (N, out, out). Under T_α, tr Hess = Σ_k t_k / α_k². Cost: one gradient
    per output. A loss over a loader adds up its batches.

    Raises:
        ValueError: `loss.f` is not what `relu_net` computes, with our names or a module's.
    """
    traces = torch.zeros(len(params), dtype=torch.float64)
    for w, part in pieces(loss):
        own = _traces(part, params)
        traces += w * torch.tensor([own[name] for name in params], dtype=torch.float64)
    return dict(zip(params, add_up(traces).tolist()))


def _traces(loss: Loss, params: Params) -> dict[str, float]:
    a, masks, outputs = _as_relu_net(loss, params)
    C = _output_hessian(loss, outputs)  # (N, out, out)
    G = torch.eye(C.shape[1], dtype=C.dtype, device=C.device).expand_as(C)  # ∂f/∂z_K
    traces = {}
    for k, weight in reversed(list(enumerate(weight_names(params)))):
        per_example = torch.einsum("nhc,ncd,nhd->n", G, C, G)
        traces[weight] = float((a[k].square().sum(1) * per_example).mean())
        if bias_name(weight) in params:
            traces[bias_name(weight)] = float(per_example.mean())
        if k:
            G = masks[k - 1][:, :, None] * (as_matrix(params, weight) @ G)  # ∂f/∂z_{k-1}
    return traces


def _as_relu_net(loss: Loss, params: Params) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Return what `_forward` does, if `loss.f` is that function."""
    X = loss.X.to(flatten(params).device)
    try:
        a, masks, outputs = _forward(params, X)
        rounding = 1e3 * torch.finfo(outputs.dtype).eps
        same = torch.allclose(outputs, loss.f(params, X), rtol=rounding, atol=rounding)
    except RuntimeError:  # shapes that no chain of layers has
        same = False
    if not same:
        raise ValueError(
            "layer_traces needs a loss of relu_net, got another function: "
            "only there is every diagonal block a Gauss-Newton block."
        )
    return a, masks, outputs


def _forward(params: Params, x: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Return each layer's input a_k, each hidden layer's mask 1[z_k > 0], and the outputs."""
    a, masks, z = [], [], x
    for weight in weight_names(params):
        if a:
            masks.append((z > 0).to(z))
        a.append(torch.relu(z) if a else x)
        z = a[-1] @ as_matrix(params, weight) + params.get(bias_name(weight), 0.0)
    return a, masks, z


def _output_hessian(loss: Loss, outputs: Tensor) -> Tensor:
    """Return C_i = ∂²ℓ/∂f² at each output, (N, out, out): a row of the Hessian for each output."""
    f = outputs.detach().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(
            len(f) * loss.criterion(f, loss.y.to(f.device)), f, create_graph=True
        )
        rows = [torch.autograd.grad(s.sum(), f, retain_graph=True)[0] for s in slope.unbind(1)]
    return torch.stack(rows, dim=1)


@full_precision()
def gauss_newton_operator(loss: Loss, params: Params) -> Product:
    """Return the map v ↦ Jᵀ C J v for a direction v (n,): the Hessian's Gauss–Newton part.

    J = ∂f/∂θ over all examples and C = ∂²ℓ/∂f²; the rest of the Hessian is due to the bending of f,
    and is zero where the loss is fitted exactly. Cost: about three gradients a product, any module;
    over a loader the graphs are made again for each product, a batch at a time.
    """
    if hasattr(loss, "parts"):
        return lambda v: sum(w * gauss_newton_operator(part, params)(v) for w, part in loss.parts())
    f, theta, J = outputs_and_jacobian(loss.f, params, loss.X)
    with torch.inference_mode(False), torch.enable_grad():
        outputs = f.detach().requires_grad_()
        value = loss.criterion(outputs, loss.y.to(outputs.device))
        (slope,) = torch.autograd.grad(value, outputs, create_graph=True)

    @full_precision()
    def product(v: Tensor) -> Tensor:
        (CJv,) = torch.autograd.grad(slope, outputs, J(v), retain_graph=True)
        return torch.autograd.grad(f, theta, CJv, retain_graph=True)[0]

    return product


@full_precision()
def outputs_and_jacobian(f: Net, params: Params, X: Tensor) -> tuple[Tensor, Tensor, Product]:
    """Return f(θ, X) with its graph, the flat θ (n,) of that graph, and v ↦ Jv, J = ∂f/∂θ.

    Jᵀu is linear in u, so its derivative with respect to u gives J. That takes kept graphs, but no
    forward mode, which torch lacks for some layers.
    """
    check_finite(params, "the Jacobian")
    with torch.inference_mode(False), torch.enable_grad():
        theta = as_ordinary(flatten(params)).detach().requires_grad_()
        outputs = f(unflatten(theta, params), X.to(theta.device))
        if not isinstance(outputs, Tensor) or not outputs.numel():
            got = "no numbers" if isinstance(outputs, Tensor) else type(outputs).__name__
            raise ValueError(f"the Jacobian needs a net that returns one tensor, got {got}.")
        check_outputs(outputs, f, params, X)
        u = torch.zeros_like(outputs, requires_grad=True)
        (Jt_u,) = torch.autograd.grad(outputs, theta, u, create_graph=True)

    @full_precision()
    def J(v: Tensor) -> Tensor:
        return torch.autograd.grad(Jt_u, u, v, retain_graph=True)[0]

    return outputs, theta, J
