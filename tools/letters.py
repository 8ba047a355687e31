"""Formulas as a line of Unicode, for places that set no mathematics: descriptions and snippets."""

import re


def pairs(text):
    """The table that a line "alpha α beta β" spells."""
    words = text.split()
    return dict(zip(words[::2], words[1::2]))


SYMBOLS = pairs("""
alpha α beta β gamma γ delta δ epsilon ε varepsilon ε eta η theta θ kappa κ lambda λ mu μ xi ξ pi π
rho ρ sigma σ phi φ varphi φ psi ψ ell ℓ Phi Φ Delta Δ nabla ∇ partial ∂ infty ∞ sum ∑ prod ∏ int ∫
sqrt √ lVert ‖ rVert ‖ lvert | rvert | mid | top ᵀ circ ∘ odot ⊙ dots … ldots …
""")
WIDE = pairs("""
le ≤ leq ≤ ge ≥ geq ≥ ne ≠ neq ≠ to → mapsto ↦ approx ≈ pm ± in ∈ times × propto ∝ cdot ·
""")
SYMBOLS |= {name: f" {sign} " for name, sign in WIDE.items()}
TYPEFACES = {"mathsf", "mathrm", "mathbb", "mathcal", "mathbf", "operatorname", "text"}
FUNCTIONS = {"log", "ln", "exp", "sin", "cos", "sinh", "cosh", "tanh", "max", "min", "sup", "inf"}
FUNCTIONS |= {"det", "dim", "arg"}
LOWERED = dict(zip("0123456789aehijklmnoprstuvx+-=()", "₀₁₂₃₄₅₆₇₈₉ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ₊₋₌₍₎"))
LOWERED |= {" ": ""}
RAISED = dict(zip("0123456789nT+-=()ᵀ", "⁰¹²³⁴⁵⁶⁷⁸⁹ⁿᵀ⁺⁻⁼⁽⁾ᵀ")) | {" ": ""}
HATS = {"hat": "\u0302", "dot": "\u0307", "bar": "\u0304", "tilde": "\u0303"}
FRACTION = re.compile(r"\\[dt]?frac\s*(\{[^{}]*\}|[^\s{}])\s*(\{[^{}]*\}|[^\s{}])")
HAT = re.compile(r"\\(hat|dot|bar|tilde)(?![A-Za-z])\s*(?:\{(\\?\w+)\}|(\\[A-Za-z]+|\w))")
SCRIPT = re.compile(r"([_^])(?:\{([^{}]*)\}|(\S))")
SPACE = re.compile(r"\\[,;: ]|~|\\quad")
DROPPED = re.compile(r"\\[!]|\\(?:left|right|big|Big|displaystyle|limits)(?![A-Za-z])|[&]")


def line(tex):
    """The formula in Unicode, "θ₁" for \\theta_1; "…" where it needs more than a line."""
    text = FRACTION.sub(lambda found: f"{bare(found[1])}/{bare(found[2])}", tex)
    text = HAT.sub(lambda found: (found[2] or found[3]) + HATS[found[1]], text)
    text = DROPPED.sub("", SPACE.sub(" ", text))
    text = text.replace(r"\{", "❴").replace(r"\}", "❵")
    text = re.sub(r"\\([A-Za-z]+)", symbol, text)
    for _ in range(2):  # a script inside a script
        text = SCRIPT.sub(script, text)
    text = text.replace("{", "").replace("}", "").replace("❴", "{").replace("❵", "}")
    return "…" if "\\" in text else " ".join(text.replace("|||", "‖").split())


def bare(group):
    return group.removeprefix("{").removesuffix("}")


def symbol(match):
    """A letter or sign; a function's name stands as it is, and a typeface is dropped."""
    if match[1] in TYPEFACES:
        return ""
    return SYMBOLS.get(match[1], match[1] if match[1] in FUNCTIONS else "\\")


def script(match):
    """A raised or lowered sign; what Unicode cannot lower stays beside its letter."""
    signs = LOWERED if match[1] == "_" else RAISED
    text = (match[2] if match[2] is not None else match[3]).strip()
    if all(letter in signs for letter in text):
        return "".join(signs[letter] for letter in text)
    return text if match[1] == "_" else "\\"
