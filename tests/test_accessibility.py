"""What book/teach/accessibility.md says a program finds: nothing serious, and one fault it names.

Oracle: axe-core, of one version and one hash, in a real browser on the built site.
"""

import os

import pytest

from tools import ROOT, npm

pytestmark = pytest.mark.site

AXE = (  # npm view axe-core dist.integrity
    "axe-core",
    "4.14.1",
    "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
)
PAGES = (
    *("index", "argument/hessian_without_ceiling", "argument/rectifier_symmetry"),
    *("teach/before_you_start", "teach/guide", "map"),
)
KNOWN = {("region", "moderate", ".title")}  # the name at the top of the side bar
RUN = "() => axe.run(document, {resultTypes: ['violations']})"


@pytest.fixture(scope="session")
def axe():
    """The path of axe-core's script; without a network none, and with CI set that is a failure."""
    try:
        return npm.package(*AXE) / "axe.min.js"
    except npm.NotThere as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))


def faults(tab, axe):
    """(rule, level, place) of each fault that axe-core finds on an open page."""
    tab.add_script_tag(path=str(axe))
    found = tab.evaluate(RUN)["violations"]
    assert tab.evaluate("axe.version") == AXE[1]
    return {
        (rule["id"], rule["impact"], " ".join(map(str, node["target"])))
        for rule in found
        for node in rule["nodes"]
    }


def use(tab):
    """Answer the first question and move the first slider, where there are some."""
    for letter in tab.locator(".predict-letter").all()[:1]:
        letter.click()
    for slider in tab.locator("figure.live input[type=range]").all()[:1]:
        slider.press("ArrowRight")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_nothing_but_what_the_page_names(browser, site, axe, page, theme):
    context = browser.new_context(viewport={"width": 1100, "height": 900})
    tab = context.new_page()
    tab.add_init_script(f"localStorage.theme = localStorage.mode = '{theme}'")
    tab.goto(f"{site.as_uri()}/book/{page}.html")
    tab.evaluate("() => window.MathJax?.startup?.promise")
    use(tab)
    assert faults(tab, axe) <= KNOWN
    context.close()


def test_axe_is_awake(browser, axe):
    tab = browser.new_page()
    tab.set_content("<html lang=en><title>x</title><main><h1>x</h1><img src=a.png></main>")
    assert {rule for rule, _, _ in faults(tab, axe)} == {"image-alt"}
    tab.close()


def test_the_statement_names_what_is_known_and_how_many_pages_are_looked_at():
    text = (ROOT / "book" / "teach" / "accessibility.md").read_text("utf-8")
    assert "six pages" in text and len(PAGES) == 6
    assert "A moderate fault of the theme" in text and len(KNOWN) == 1
