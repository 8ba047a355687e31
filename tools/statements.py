"""What the ledger lists: each statement, the page that shows it, the helper that is it.

Data only; `tools.ledger` reads it. A label is a box's, a (label)= of the page's own, or the name of
a live figure, which is its address on the page.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Statement:
    id: str  # what a test calls it
    ref: str  # what the paper calls it, "ours" if it is not in the paper
    line: str  # one sentence
    page: str  # book page without suffix, # and the label on that page
    code: str  # the public helper that is the statement
    status: str  # proved, checked, ours or often misquoted; the ledger's page says what each means


# fmt: off
ROWS = {  # page: id, ref, label on the page (none: the id), public helper, status, one sentence
    "meaning/why_flat": (
        ("observational-equivalence", "Section 2", "", "scale_units", "checked",
         "Two parameters are observationally equivalent if f is the same at every input."),
        ("figure-1", "Figure 1", "", "volume_flatness", "checked",
         "A height ε gives a width (volume flatness); a distance ε gives a height (ε-sharpness)."),
        ("hochreiter-box", "Hochreiter, Schmidhuber", "", "hs_description_length", "checked",
         "The box that saturates their two conditions has the description length they give."),
        ("local-entropy", "Chaudhari et al.", "", "quadratic_local_entropy", "ours",
         "At a quadratic minimum local entropy is −½ Σ log(λᵢ + γ) and a constant."),
    ),
    "meaning/volume": (
        ("definition-1", "Definition 1", "", "volume_flatness", "checked",
         "Volume ε-flatness is the volume of the connected set around θ where L < L(θ) + ε."),
    ),
    "meaning/curvature": (
        ("hessian-measures", "Section 2", "", "spectral_norm", "checked",
         "At a minimum the Hessian's eigenvalues become one number: its norm or trace."),
        ("gauss-newton-trace", "ours", "", "layer_traces", "ours",
         "In a layered ReLU net tr H is the Gauss–Newton trace, at any point."),
    ),
    "meaning/eps_sharpness": (
        ("definition-2", "Definition 2", "", "eps_sharpness", "checked",
         "ε-sharpness is the largest (L(θ′) − L(θ))/(1 + L(θ)) in the ball of radius ε."),
        ("second-order-link", "Section 2", "", "predicted_eps_sharpness", "often misquoted",
         "At a minimum with slope zero, ε-sharpness is ‖H‖₂ ε²/(2(1 + L)) to second order."),
        ("keskar-metric", "Keskar et al.", "", "keskar_sharpness", "checked",
         "Metric 2.1 is 100 times the largest relative rise in a box that grows with |θ| + 1."),
    ),
    "argument/rectifier_symmetry": (
        ("definition-3", "Definition 3", "", "relu_net", "checked",
         "A deep rectified net is relu(… relu(xθ₁) …)θ_K, with a linear output."),
        ("definition-4", "Definition 4", "", "is_positively_homogeneous", "checked",
         "φ is non-negatively homogeneous if φ(αz) = αφ(z) for every α ≥ 0."),
        ("theorem-1", "Theorem 1", "", "is_positively_homogeneous", "proved",
         "The rectifier is non-negatively homogeneous."),
        ("definition-5", "Definition 5", "", "alpha_scale", "proved",
         "T_α multiplies θ₁ by α, divides θ₂ by α, and leaves the function as it was."),
        ("non-identifiability", "Section 3", "twins", "alpha_scale", "proved",
         "Where θ₁ or θ₂ is not zero, all T_α(θ) are different parameters of one function."),
        ("singular-metric", "Section 3", "twins", "gauss_newton_operator", "checked",
         "JᵀJ, which measures change of behaviour, is singular: along (θ₁, −θ₂) nothing changes."),
        ("figure-2", "Figure 2", "orbit", "alpha_scale", "checked",
         "With two weights each curve θ₁θ₂ = c is one function; contours crowd together along it."),
        ("bit-identity", "ours", "", "alpha_scale", "ours",
         "At α = 2ᵏ the predictions are identical to the last bit."),
        ("appendix-b", "Appendix B", "", "alpha_scale", "checked",
         "With one hidden layer its bias takes the factor α, and the output's bias takes none."),
    ),
    "argument/biases_and_other_layers": (
        ("appendix-b-deep", "Appendix B", "", "layer_scaling", "checked",
         "In any depth, each hidden bias is scaled by the product of the factors up to its layer."),
        ("other-activations", "Section 3", "section-3-other-layers",
         "is_positively_homogeneous", "checked",
         "Linear layers, leaky rectifiers, maxout pass a factor; tanh, GELU, softplus do not."),
        ("convolution", "Section 3", "", "scale_units", "checked",
         "T_α holds between convolutions too, and for each channel."),
        ("residual-stream", "ours", "", "apply_scaling", "ours",
         "A factor may stay inside a residual block or lie on the whole stream."),
        ("weight-norm", "Section 5.1", "", "scale_direction", "checked",
         "With w = s v/‖v‖, v ↦ αv divides the gradient in v by α and the Hessian by α²."),
        ("weight-norm-volume", "Section 5.1, item 1", "weight-norm", "scale_direction", "proved",
         "In v, every minimum has infinite volume ε-flatness."),
        ("weight-norm-spectrum", "Section 5.1, item 2", "weight-norm", "scale_direction", "proved",
         "In v, the non-zero eigenvalues go to zero and to infinity, all at once."),
        ("weight-norm-low", "Section 5.1, item 3", "weight-norm", "eps_sharpness", "checked",
         "In v, ε-sharpness in a ball gets as low as you like, in random subspaces too."),
        ("weight-norm-high", "Section 5.1, item 3", "weight-norm", "eps_sharpness", "checked",
         "In v, ε-sharpness in the full space becomes that of the worst direction."),
        ("weight-norm-sign", "ours", "weight-norm", "scale_direction", "ours",
         "A negative α turns w around and changes the function, so α > 0 is needed."),
        ("keskar-plateau", "ours", "", "keskar_sharpness", "ours",
         "In Keskar's box, which grows with v, the metric falls to a plateau and no lower."),
        ("batch-norm", "ours", "", "dense_hessian", "ours",
         "Before batch norm with ε = 0, weights c w have the Hessian of w divided by c²."),
    ),
    "argument/volume_is_infinite": (
        ("theorem-2", "Theorem 2", "", "disjoint_alpha", "proved",
         "At a minimum with θ₁ ≠ 0 and θ₂ ≠ 0, C(L, θ, ε) has infinite volume for every ε > 0."),
        ("group", "Theorem 2, proof", "theorem-2", "alpha_scale", "checked",
         "T_α after T_β is T_αβ."),
        ("volume-change", "Theorem 2, proof", "theorem-2", "alpha_scale", "checked",
         "T_α multiplies every volume by α^(n₁−n₂)."),
        ("figure-3", "Figure 3", "marching-boxes", "disjoint_alpha", "checked",
         "The boxes B, T_α B, T_α² B, … have one area, never meet, and follow the hyperbola."),
        ("volume-growth", "ours", "", "volume_flatness", "ours",
         "The volume grows like 2s ln(b/a) when n₁ = n₂ = 1, like a power when n₁ ≠ n₂."),
    ),
    "argument/hessian_without_ceiling": (
        ("theorem-3-gradient", "Theorem 3", "theorem-3", "gradient", "proved",
         "The gradient at T_α(θ) is the gradient at θ times D."),
        ("theorem-3-hessian", "Theorem 3", "theorem-3", "dense_hessian", "proved",
         "The Hessian at T_α(θ) is D H D."),
        ("theorem-4", "Theorem 4", "", "spectral_norm", "often misquoted",
         "At a minimum with a non-zero Hessian, some α makes its spectral norm at least M."),
        ("theorem-4-trace", "Section 4.2", "theorem-4", "trace", "proved",
         "The same holds of the trace, which at a minimum is never below the spectral norm."),
        ("flattest-point", "ours", "", "trace", "ours",
         "The trace on the orbit is never below 2√(t₁t₂): sharp without limit, flat only so far."),
    ),
    "argument/many_sharp_directions": (
        ("definition-6", "Definition 6", "", "dense_hessian", "checked",
         "λ(A) is the vector of singular values of A, largest first."),
        ("k-layers", "Section 4.2", "theorem-5", "scale_layers", "proved",
         "K layers with factors of product one keep the function; D has one block for each layer."),
        ("theorem-5", "Theorem 5", "", "scale_layers", "often misquoted",
         "At a minimum with r = rank H, some α lifts r − min n_k eigenvalues above M."),
        ("horn-inequality", "Theorem 5, proof", "", "layer_scaling", "checked",
         "λᵢ(D H D) is at least β² times the eigenvalue of H that stands n_K places further down."),
        ("sharp-count", "ours", "", "scale_layers", "ours",
         "In the limit exactly rank H_VV eigenvalues grow, V the layers that do not pay."),
    ),
    "argument/eps_sharpness_at_will": (
        ("eps-sharpness-at-will", "Section 4.3", "", "eps_sharpness", "proved",
         "At α = ε/‖θ₁‖ the ball reaches the dead net: ε-sharpness is at least (L₀ − L)/(1 + L)."),
        ("figure-4", "Figure 4", "fig-4", "eps_sharpness", "checked",
         "A circle reaches the dead axis around the rescaled point, not around the first."),
        ("keskar-box-at-will", "Section 4.3", "", "keskar_sharpness", "checked",
         "At α = ε/‖θ₁‖ Keskar's box contains the ball, so it reaches the dead net as well."),
        ("keskar-box-sooner", "ours", "keskar-box-at-will", "keskar_sharpness", "ours",
         "The box itself contains the dead net as soon as α is ε over the largest entry of θ₁."),
        ("random-subspace", "ours", "", "keskar_sharpness", "ours",
         "In a fixed random subspace Keskar's metric grows as well, in all that we measured."),
    ),
    "argument/model_reparametrization": (
        ("chain-rules", "Section 5.1", "", "pulled_hessian", "proved",
         "L ∘ g has gradient ∇L J and Hessian JᵀHJ plus a term that is zero at a critical point."),
        ("onto-is-enough", "Section 5.1", "chain-rules", "weight_norm", "checked",
         "g need only be onto: the functions are the same, and the chain rules hold."),
        ("figure-5", "Figure 5", "", "radial_power", "checked",
         "η = (r² + b)^a (θ − θ̂), a > −½, b > 0, is a bijection; H at θ̂ becomes b^(−2a) H."),
    ),
    "argument/input_reparametrization": (
        ("section-5-2", "Section 5.2", "", "with_inputs", "proved",
         "f ∘ ξ has input gradient ∂f/∂x(ξ(u)) ∂ξ/∂u(u)."),
        ("section-5-2-at-will", "Section 5.2", "section-5-2", "warp_inputs", "checked",
         "New inputs can multiply the gradient at one input and leave it at another as it was."),
        ("appendix-d", "Appendix D", "", "whiten_inputs", "checked",
         "Whitening can turn a ranking by squared error, never one by log-likelihood differences."),
    ),
    "argument/radial_transformations": (
        ("appendix-a", "Appendix A", "", "radial_map", "checked",
         "A radial map moves only a ball around θ̂ and makes the Hessian there (r̂/ρ)² H."),
        ("figure-6", "Figure 6", "fig-6", "psi", "checked",
         "ψ takes the sphere of radius r̂ to that of radius ρ, and no point outside B(θ̂, δ) moves."),
    ),
    "argument/not_lipschitz": (
        ("theorem-6", "Theorem 6", "", "gradient", "proved",
         "With one hidden layer a loss that is not constant is not Lipschitz in θ."),
        ("chord", "ours", "", "alpha_scale", "ours",
         "T_α keeps the loss at both ends of a chord and scales its length."),
    ),
    "argument/what_follows": (
        ("section-6", "Section 6", "", "alpha_scale", "checked",
         "The order of two minima by flatness can be reversed, and no prediction changes."),
    ),
    "after/scoreboard": (
        ("scoreboard-lamps", "ours", "scoreboard", "adaptive_sharpness", "ours",
         "Thirteen of fourteen rulers, twelve maps, random weights: which stay, and which move."),
        ("ruler-survives", "ours", "survives", "scaled_spectral_norm", "ours",
         "The eigenvalues of UH stay under θ ↦ Sθ where U(Sθ) = S U(θ) Sᵀ."),
        ("full-invariance", "ours", "no-information", "gauss_newton_operator", "ours",
         "At an exact fit F⁺H has eigenvalues one and zero at every twin; its trace is rank F."),
    ),
    "after/who_moves": (
        ("step-identity", "ours", "", "gradient", "ours",
         "A step of descent moves ‖θ₁‖² − ‖θ₂‖² by η²(‖g₁‖² − ‖g₂‖²), decay times (1 − 2ημ)²."),
        ("asam-push", "ours", "uphill-first", "adaptive_step", "ours",
         "What ASAM's step adds to the imbalance, to first order in η, is the same at each twin."),
    ),
    "after/the_exponent_survives": (
        ("learning-coefficient", "Watanabe", "", "volume_flatness", "checked",
         "In a small window the volume below ε goes like c ε^λ (ln 1/ε)^(m−1)."),
        ("exponent-shift", "ours", "parallel-shift", "alpha_scale", "ours",
         "T_α multiplies the volume below every ε by α^(n₁−n₂), so the exponent stays."),
        ("exponent-coordinates", "Section 5.1", "smooth-coordinates", "radial_power", "checked",
         "Coordinates that are smooth both ways keep λ and m."),
        ("exponent-hessian", "ours", "clean-minimum", "dense_hessian", "checked",
         "At a clean minimum λ is rank H / 2, and H stands in the constant, as 1/√pdet H."),
        ("carried-noise", "ours", "carried-noise", "alpha_scale", "ours",
         "With noise in units of each layer the chain at T_α θ is the image of that at θ."),
    ),
    "after/two_fates": (
        ("fates-layer", "ours", "one-fate", "scale_layers", "ours",
         "With a step for each layer, a factor for a layer leaves each whole number as it was."),
        ("fates-unit", "ours", "one-fate", "scale_units", "ours",
         "From a known factor on one unit on, all scores are zero in b bits, at every input."),
        ("fates-equal", "Nagel et al.", "equal-ranges", "scale_units", "checked",
         "c = √(q/r) gives each unit one range on both sides and keeps the function."),
        ("fates-one-twin", "ours", "one-twin", "scale_units", "ours",
         "All twins equalize to the same weights, and none has a smaller product of ranges."),
        ("fates-noise", "ours", "step-noise", "layer_traces", "ours",
         "Small rounding raises the loss by Σ s² t / 24, with step s and trace t of a layer."),
        ("fates-three", "ours", "three-twins", "scale_units", "ours",
         "Smallest weights, flattest, equal ranges: each is lowest on the orbit in its own ruler."),
    ),
    "after/theorem_as_algorithm": (
        ("one-basis", "ours", "", "curvature_sweep", "ours",
         "A basis cut at the borders of the layers gives λ_max at T_α θ for every α."),
    ),
    "after/does_it_predict": (
        ("order-at-will", "ours", "", "alpha_scale", "ours",
         "One α a network gives it any trace above its floor: any order above the largest floor."),
        ("sign-error", "ours", "", "train_many", "ours",
         "Each ruler measured orders half of the pairs wrongly in some environment, or more."),
    ),
    "after/how_many_knobs": (
        ("knobs-count", "ours", "taps", "find_symmetries", "ours",
         "3w knobs a stage of a ResNet, 2d + 3gs/2 + m a Llama block: the nullity of J diag θ."),
        ("knobs-null", "ours", "null-directions", "find_symmetries", "ours",
         "At a minimum the Hessian is zero along u ⊙ θ, for each knob with powers u."),
    ),
    "after/real_networks": (
        ("real-convolutional", "Section 3", "real", "rescale", "checked",
         "In a convolutional network the factors found keep each prediction and move λ_max."),
        ("real-transformer", "ours", "real", "find_symmetries", "ours",
         "In a transformer block gain, values and ReLU layer take a factor, and λ_max moves."),
    ),
    "after/what_to_report": (
        ("plot-units", "ours", "plots", "scale_units", "ours",
         "Along |θ| ⊙ ξ the loss is one curve for all twins, with one factor a unit."),
        ("pac-bayes-carried", "ours", "bound", "unit_scaling", "ours",
         "With prior and posterior carried along, no term of a PAC-Bayes bound changes."),
        ("stable-function", "Liang et al.", "", "scale_units", "checked",
         "At a two-layer minimum without loss no twin has λ_max below 1 + 2 ∫|f″| g."),
    ),
}
# fmt: on
STATEMENTS = tuple(
    Statement(id, ref, line, f"{page}#{label or id}", f"helpers.{code}", status)
    for page, rows in ROWS.items()
    for id, ref, label, code, status, line in rows
)
