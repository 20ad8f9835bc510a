import copy
import re

import pytest
from playwright.sync_api import expect, sync_playwright

from embedding_assets_tests.integration import page_answers as told
from embedding_assets_tests.integration.browser import (
    CHROMIUM,
    HELD,
    Answers,
    problem,
    served_page,
)

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")

SEARCH = "#/search?q=notice+period"
VIEWS = {
    "search": SEARCH,
    "documents": "#/search",
    "hit": f"{SEARCH}&hit=doc-1%3A7",
    "text": f"{SEARCH}&hit=doc-4%3A7",
    "apps": "#/apps?id=APP_1",
    "both": "#/apps?id=APP_1&version=both",
    "new-app": "#/apps?name=Puzzle&category=Games",
    "experiments": "#/experiments",
    "experiment": "#/experiments/apps-v1-v2",
    "map": "#/map/apps?point=APP_3",
}
SHOWN = {
    "search": ".hit",
    "documents": ".documents",
    "hit": ".page-image",
    "text": ".blocks",
    "apps": ".prediction",
    "both": ".versions",
    "new-app": ".prediction",
    "experiments": ".experiments",
    "experiment": ".curve svg",
    "map": ".chosen h2",
}
"""What each view shows when it is complete."""
DRAWN = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() =>
  done(document.querySelector("canvas").toDataURL()))))"""
CONTRASTS = """() => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (text) => {
    const [r, g, b] = numbers(text).slice(0, 3).map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if ((numbers(colour)[3] ?? 1) > 0.99) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    const isOut = element.closest(".unseen, .skip, :disabled");
    if (!hasText || !element.checkVisibility() || isOut) continue;
    const style = getComputedStyle(element);
    const ink = element instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(ink), light(ground(element))].sort((one, other) => other - one);
    const contrast = (a + 0.05) / (b + 0.05);
    const words = element.textContent.trim().slice(0, 30);
    if (contrast < 4.5) poor.push(`${words}: ${contrast.toFixed(2)}`);
  }
  return poor;
}"""


@pytest.fixture(scope="module")
def base():
    with served_page() as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def answers():
    answers = Answers()
    answers["/search"] = lambda _: copy.deepcopy(told.SEARCH)
    answers["/facets"] = told.FACETS
    answers["/documents"] = told.DOCUMENTS
    answers["/documents/read"] = lambda asked: (
        told.READ if asked.query["doc_id"] == "doc-4" else told.PDF
    )
    answers["/documents/image"] = told.picture()
    answers["/find-similar"] = lambda asked: (
        told.SIMILAR_V2 if asked.body.get("version") == "v2" else told.SIMILAR
    )
    answers["/predict"] = told.PREDICTION
    answers["/experiments"] = told.EXPERIMENTS
    answers["/experiments/apps-v1-v2"] = told.EXPERIMENT
    answers["/maps"] = told.MAPS
    for name in ("accounts", "documents", "apps"):
        answers[f"/maps/{name}"] = told.map_of(300, name=name)
    return answers


@pytest.fixture
def visit(browser, base, answers):
    contexts = []

    def visit(address="", **options):
        context = (
            browser.new_context(viewport={"width": 1280, "height": 800}, **options)
            if ("viewport" not in options)
            else browser.new_context(**options)
        )
        contexts.append(context)
        page = context.new_page()
        answers.watch(page, base)
        page.goto(base + address)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert answers.console == []
    assert answers.foreign == []


def settled(page):
    expect(page.locator("main > div")).to_be_visible()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    return page


def show(page, name):
    page.evaluate("address => { location.hash = address; }", VIEWS[name])
    expect(page.locator(SHOWN[name]).first).to_be_visible()
    return settled(page)


def with_text(text):
    return told.found(told.hit(1, text=text, highlights=[], title=text, heading_path=[text]))


def test_typing_shows_marked_passages(visit, answers):
    page = visit()
    page.get_by_role("searchbox").press_sequentially("notice period", delay=10)
    expect(page.locator(".hit")).to_have_count(4)
    assert page.locator("mark").all_inner_texts() == ["notice period"] * 5
    first = page.locator(".hit").first
    expect(first).to_contain_text("Lease agreement 1")
    expect(first).to_contain_text("contracts/lease-1.pdf")
    expect(first).to_contain_text("pp. 3–4")
    expect(first).to_contain_text("Terms › § 4 Notice")
    expect(first).to_contain_text("0.89")
    expect(page.get_by_role("status").first).to_have_text("4 passages")


def test_typing_asks_once_and_writes_the_search_into_the_address(visit, answers):
    page = visit()
    page.get_by_role("searchbox").press_sequentially("notice", delay=10)
    expect(page.locator(".hit").first).to_be_visible()
    assert [asked.body["query"] for asked in answers.of("/search")] == ["notice"]
    assert page.url.endswith("#/search?q=notice")


def test_an_answer_that_comes_after_a_newer_one_is_not_shown(visit, answers):
    answers["/search"] = lambda asked: (
        HELD if asked.body["query"] == "old" else told.found(told.hit(2, title="The new one"))
    )
    page = visit()
    page.get_by_role("searchbox").fill("old")
    expect(page).to_have_url(re.compile("q=old"))
    with page.expect_event("requestfailed") as failed:
        page.get_by_role("searchbox").fill("new")
    assert failed.value.url.endswith("/search")
    expect(page.locator(".hit")).to_have_count(1)
    expect(page.locator(".hit")).to_contain_text("The new one")


def test_offsets_count_code_points(visit, answers):
    answers["/search"] = told.found(
        told.hit(1, text="🙂🙂 a 𝔘nit of é time", highlights=[[5, 9], [15, 19]])
    )
    page = visit(SEARCH)
    expect(page.locator("mark").first).to_be_visible()
    assert page.locator("mark").all_inner_texts() == ["𝔘nit", "time"]


def test_a_long_passage_is_shown_around_its_mark(visit, answers):
    text = "before " * 200 + "needle" + " after" * 200
    answers["/search"] = told.found(told.hit(1, text=text, highlights=[[1400, 1406]]))
    page = visit(SEARCH)
    expect(page.locator("mark")).to_have_text("needle")
    shown = page.locator(".hit-text").inner_text()
    assert shown.startswith("… before") and shown.endswith("after …")
    assert len(shown) < 600


def test_a_search_is_asked_for_with_mode_and_filters_of_the_address(visit, answers):
    page = visit(f"{SEARCH}&mode=keyword&f=document%3Dreports%2F*.pdf&f=page%3D3..5")
    expect(page.locator(".hit")).to_have_count(4)
    assert answers.of("/search")[0].body == {
        "query": "notice period",
        "k": 10,
        "mode": "keyword",
        "filters": ["document=reports/*.pdf", "page=3..5"],
    }
    assert page.locator(".chip").all_inner_texts() == ["Document reports/*.pdf", "Pages 3–5"]
    page.get_by_role("button", name="Remove: Pages 3–5").click()
    expect(page.locator(".chip")).to_have_count(1)
    page.get_by_role("radio", name="Meaning").check()
    settled(page)
    assert answers.of("/search")[-1].body["mode"] == "semantic"
    assert answers.of("/search")[-1].body["filters"] == ["document=reports/*.pdf"]


def test_the_filter_form_becomes_filters(visit, answers):
    page = visit(SEARCH)
    page.get_by_role("button", name="Filter", exact=True).click()
    page.get_by_label("Document", exact=True).fill("a/*.pdf")
    page.get_by_label("Format").select_option("pdf")
    page.get_by_label("First page").fill("3")
    page.get_by_label("Modified on or after").fill("2026-01-31")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".chip")).to_have_count(4)
    settled(page)
    wanted = ["document=a/*.pdf", "format=pdf", "page>=3", "date>=2026-01-31"]
    assert answers.of("/search")[-1].body["filters"] == wanted


def test_categories_and_names_narrow_a_search(visit, answers):
    page = visit(SEARCH)
    page.get_by_role("button", name="Only contracts: 7 documents").click()
    expect(page.locator(".chip")).to_have_text(["Category contracts"])
    expect(page.get_by_role("group", name="Categories")).to_have_count(0)
    page.get_by_role("button", name="Only Zoë Müller: 9 passages").press("Enter")
    expect(page.locator(".chip")).to_have_text(["Category contracts", "Name Zoë Müller"])
    expect(page.locator(".facet")).to_have_count(2)
    settled(page)
    wanted = ["category=contracts", "entity=PER:Zoë Müller"]
    assert answers.of("/search")[-1].body["filters"] == wanted
    assert answers.of("/facets")[-1].query == {"filter": wanted[-1]}
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page.get_by_label("Category", exact=True).get_by_role("option")).to_have_count(3)


def test_the_filter_form_offers_what_occurs(visit, answers):
    page = visit(SEARCH)
    page.get_by_role("button", name="Filter", exact=True).click()
    page.get_by_label("Category", exact=True).select_option("invoices")
    page.get_by_label("Name", exact=True).fill("ORG:*")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".chip")).to_have_text(["Category invoices", "Any ORG"])
    settled(page)
    assert answers.of("/search")[-1].body["filters"] == ["category=invoices", "entity=ORG:*"]


def test_without_categories_and_names_there_is_nothing_to_choose(visit, answers):
    answers["/facets"] = dict.fromkeys(("passages", "documents"), 0) | {
        name: [] for name in ("categories", "labels", "entities")
    }
    page = visit(SEARCH)
    expect(page.locator(".hit")).to_have_count(4)
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page.locator(".facets, #filter-category, #filter-entity")).to_have_count(3)
    for place in (".facets", "#filter-category", "#filter-entity"):
        expect(page.locator(place)).to_be_hidden()


def test_opening_a_passage_asks_for_the_picture_of_its_page(visit, answers):
    page = visit(SEARCH)
    page.get_by_role("link", name="Lease agreement 1").click()
    picture = page.get_by_alt_text("Page 3 of Lease agreement 1, the passage marked")
    expect(picture).to_be_visible()
    asked = answers.of("/documents/image")[0]
    assert {name: asked.query[name] for name in ("doc_id", "page", "chunk_id")} == {
        "doc_id": "doc-1",
        "page": "3",
        "chunk_id": "doc-1:7",
    }
    assert 400 <= int(asked.query["width"]) <= 2000
    assert "hit=doc-1%3A7" in page.url
    expect(page.locator(".page-number")).to_have_text("Page 3 of 12")
    expect(page.locator(".panel mark")).to_have_text("notice period")
    page.get_by_role("button", name="Next page").click()
    expect(page.get_by_alt_text("Page 4 of Lease agreement 1")).to_be_visible()
    page.get_by_role("button", name="Larger").click()
    page.get_by_role("button", name="Larger").click()
    settled(page)
    assert answers.of("/documents/image")[-1].query["page"] == "4"
    assert int(answers.of("/documents/image")[-1].query["width"]) > int(asked.query["width"])


def test_after_the_last_page_the_panel_stays_there(visit, answers):
    answers["/documents/image"] = lambda asked: (
        told.picture() if int(asked.query["page"]) <= 3 else problem(404, "It has 3 pages.")
    )
    answers["/documents/read"] = problem(404, "Its text is gone.")
    page = settled(visit(VIEWS["hit"]))
    page.get_by_role("button", name="Next page").click()
    expect(page.get_by_role("button", name="Next page")).to_be_disabled()
    expect(page.locator(".page-number")).to_have_text("Page 3 of 3")
    expect(page.get_by_alt_text("Page 3 of")).to_be_visible()


def test_a_document_without_pages_is_shown_as_text(visit, answers):
    page = visit(VIEWS["text"])
    expect(page.locator(".blocks h3")).to_have_text("Lease agreement")
    expect(page.locator(".blocks h4")).to_have_text("4 Notice")
    assert answers.of("/documents/image") == []


def test_a_long_text_is_read_on_until_the_page_that_is_open(visit, answers):
    def stretch(asked):
        start, limit = int(asked.query.get("start", 0)), int(asked.query["limit"])
        blocks = [
            told.READ["blocks"][2] | {"text": f"Block {at}", "pages": [at // 400 + 1]}
            for at in range(start, min(start + limit, 1300))
        ]
        end = start + limit
        return told.PDF | {"blocks": blocks, "next": end if end < 1300 else None}

    answers["/documents/read"] = stretch
    page = settled(visit(VIEWS["hit"]))
    page.get_by_role("button", name="Text").click()
    expect(page.get_by_text("Block 800", exact=True)).to_be_in_viewport()
    assert page.locator(".blocks p").count() == 1000
    page.get_by_role("button", name="Read on").click()
    expect(page.locator(".blocks p")).to_have_count(1300)
    expect(page.get_by_role("button", name="Read on")).to_have_count(0)


def test_before_a_search_the_documents_are_listed(visit, answers):
    page = visit()
    page.get_by_role("link", name="lease-2.pdf").click()
    expect(page.get_by_alt_text("Page 1 of")).to_be_visible()
    assert "chunk_id" not in answers.of("/documents/image")[0].query
    page.get_by_role("button", name="Search in Lease agreement 3 only").click()
    expect(page.locator(".chip")).to_have_text("Document contracts/lease-3.pdf")


def test_one_walks_through_a_search_by_keyboard(visit, answers):
    page = settled(visit(SEARCH))
    page.locator("body").click(position={"x": 5, "y": 400})
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="lease-2.pdf")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.get_by_alt_text("Page 3 of Lease agreement 1")).to_be_visible()
    expect(page.locator("#panel-title")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_alt_text("Page 4 of")).to_be_visible()
    page.keyboard.press("+")
    expect(page.locator(".zoom-number")).to_have_text("125 %")
    page.keyboard.press("Escape")
    expect(page.locator(".panel")).to_be_hidden()
    expect(page.get_by_role("link", name="Lease agreement 1")).to_be_focused()


def test_the_first_tab_leads_past_the_header(visit):
    page = settled(visit("#/experiments"))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="apps-v1-v2")).to_be_focused()
    assert page.url.endswith("#/experiments")


def test_every_control_has_a_name_and_a_visible_focus(visit):
    for name in ("hit", "apps", "experiment", "map"):
        page = settled(visit(VIEWS[name]))
        seen = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            focused = page.evaluate(
                """() => {
                  const at = document.activeElement;
                  const row = at.closest(".hit") ?? at.nextElementSibling ?? at;
                  const styles = [getComputedStyle(at), getComputedStyle(row)];
                  return [at.outerHTML, styles.some((each) => parseFloat(each.outlineWidth) >= 1
                    && each.outlineStyle !== "none"), at.tagName];
                }"""
            )
            if focused[0] in seen or focused[2] == "BODY":
                break
            seen.add(focused[0])
            assert focused[1], focused[0]
        assert len(seen) > 5
        for control in page.locator("main button:visible, main input:visible").all():
            assert control.evaluate(
                "each => each.ariaLabel || each.textContent.trim() || each.labels?.length"
            ), control.evaluate("each => each.outerHTML")


HOSTS = {
    "search": lambda: with_text(told.HOSTILE),
    "find-similar": lambda: told.similar(
        told.app(1, name=told.HOSTILE, reasons=[told.HOSTILE], category=told.HOSTILE)
    ),
    "experiment": lambda: told.EXPERIMENT | {"plan": told.plan(hypothesis=told.HOSTILE)},
    "map": lambda: told.map_of(30) | {"label": [told.HOSTILE] * 30, "groups": [told.HOSTILE] * 8},
    "documents": lambda: {
        "documents": [{"doc_id": "x", "path": told.HOSTILE, "title": told.HOSTILE, "pages": 1}],
        "next": None,
    },
    "text": lambda: (
        told.READ
        | {"blocks": [{"kind": "paragraph", "text": told.HOSTILE, "pages": [], "marker": ""}]}
    ),
    "problem": lambda: problem(422, told.HOSTILE, told.HOSTILE),
}


@pytest.mark.parametrize(
    ("path", "name", "address"),
    [
        ("/search", "search", VIEWS["hit"]),
        ("/find-similar", "find-similar", VIEWS["apps"]),
        ("/experiments/apps-v1-v2", "experiment", VIEWS["experiment"]),
        ("/maps/apps", "map", VIEWS["map"]),
        ("/documents", "documents", "#/search"),
        ("/documents/read", "text", VIEWS["text"]),
        ("/search", "problem", SEARCH),
    ],
)
def test_hostile_text_stays_text(visit, answers, path, name, address):
    answers[path] = HOSTS[name]()
    page = settled(visit(address))
    expect(page.get_by_text(told.HOSTILE).first).to_be_visible()
    assert page.evaluate("window.broken") is None
    assert page.locator("main script, main img[src=x]").count() == 0


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("/search", SEARCH),
        ("/documents", "#/search"),
        ("/documents/image", VIEWS["hit"]),
        ("/find-similar", VIEWS["apps"]),
        ("/predict", VIEWS["apps"]),
        ("/experiments", VIEWS["experiments"]),
        ("/experiments/apps-v1-v2", VIEWS["experiment"]),
        ("/maps", "#/map"),
        ("/maps/apps", VIEWS["map"]),
    ],
)
def test_a_problem_is_told_with_its_mend_and_can_be_tried_again(visit, answers, path, address):
    works = answers.by_path[path]
    answers[path] = problem(503, "Nothing is indexed yet.", "Run the graph first.")
    page = visit(address)
    box = page.locator("main [role=alert]")
    expect(box).to_contain_text("Nothing is indexed yet.")
    expect(box).to_contain_text("Run the graph first.")
    expect(box).to_contain_text("req-0001")
    answers[path] = works
    box.get_by_role("button", name="Try again").click()
    expect(box).to_have_count(0)


def test_a_service_that_is_gone_is_said_to_be(visit, answers):
    answers["/search"] = None
    page = visit(SEARCH)
    expect(page.locator("main [role=alert]")).to_contain_text("The service does not answer.")


@pytest.mark.parametrize(
    ("path", "answer", "address", "words"),
    [
        ("/search", told.found(), SEARCH, "Nothing found"),
        ("/documents", {"documents": [], "next": None}, "#/search", "No documents yet"),
        ("/find-similar", told.similar(), VIEWS["apps"], "No similar app"),
        ("/experiments", {"experiments": []}, VIEWS["experiments"], "No experiment yet"),
        ("/maps", {"maps": []}, "#/map", "No map yet"),
        ("/maps/apps", told.map_of(0), VIEWS["map"], "Nothing on this map"),
    ],
)
def test_nothing_is_said_in_words(visit, answers, path, answer, address, words):
    answers[path] = answer
    expect(visit(address).get_by_text(words)).to_be_visible()


def test_a_key_is_asked_for_kept_in_the_tab_and_sent_also_for_pictures(visit, answers):
    def guarded(answer):
        def check(asked):
            if asked.headers.get("authorization") != "Bearer secret":
                return problem(401, "This needs an API key.")
            return answer

        return check

    answers["/search"] = guarded(told.SEARCH)
    answers["/documents/image"] = guarded(told.picture())
    page = visit(SEARCH)
    expect(page.get_by_label("API key", exact=True)).to_be_focused()
    page.keyboard.type("secret")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Lease agreement 1").click()
    expect(page.get_by_alt_text("Page 3 of")).to_be_visible()
    assert "secret" not in page.evaluate("Object.values(localStorage)")
    assert page.evaluate("Object.values(sessionStorage)") == ["secret"]
    assert all("secret" not in str(asked.query) for asked in answers.asked)
    page.reload()
    expect(page.locator(".hit")).to_have_count(4)
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("button", name="Forget").click()
    expect(page.locator("#key-needed")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def test_an_experiment_hears_once_that_a_result_was_opened(visit, answers):
    answers["/search"] = told.SEARCH | {"experiment": {"id": "modes", "variant": "b"}}
    answers["/experiments/modes/outcomes"] = {"accepted": 1, "known": 0, "unknown_units": []}
    page = settled(visit(SEARCH))
    link = page.get_by_role("link", name="Lease agreement 1")
    link.click()
    expect(page.get_by_alt_text("Page 3 of")).to_be_visible()
    page.keyboard.press("Escape")
    link.click()
    settled(page)
    unit = answers.of("/search")[0].body["unit"]
    assert re.fullmatch("[0-9a-f]{32}", unit)
    (sent,) = answers.of("/experiments/modes/outcomes")
    (outcome,) = sent.body["outcomes"]
    assert outcome | {"id": ""} == {"id": "", "unit": unit, "metric": "click", "value": 1}
    assert len(outcome["id"]) == 32
    page.reload()
    settled(page)
    assert answers.of("/search")[-1].body["unit"] == unit


def test_without_an_experiment_nothing_is_recorded(visit, answers):
    page = settled(visit(SEARCH))
    page.get_by_role("link", name="Lease agreement 1").click()
    expect(page.get_by_alt_text("Page 3 of")).to_be_visible()
    known = {"/search", "/facets", "/documents/image", "/documents/read"}
    assert {asked.path for asked in answers.asked} == known


def test_who_takes_no_part_in_experiments_sends_no_number(visit, answers):
    page = settled(visit(SEARCH))
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Take part in experiments").uncheck()
    page.keyboard.press("Escape")
    page.get_by_role("searchbox").fill("another")
    expect(page).to_have_url(re.compile("q=another"))
    settled(page)
    assert "unit" in answers.of("/search")[0].body
    assert "unit" not in answers.of("/search")[-1].body
    assert page.evaluate("Object.values(localStorage)") == ["off"]


def test_similar_apps_are_shown_with_reasons_rates_and_the_prediction(visit, answers):
    page = visit(VIEWS["apps"])
    first = page.locator(".apps > li").first
    expect(first).to_contain_text("Puzzle Garden 2")
    expect(first).to_contain_text("same category Games")
    expect(first).to_contain_text("0.92")
    expect(first).to_contain_text("2.24 %")
    card = page.locator(".prediction")
    expect(card).to_contain_text("2.13 %")
    expect(card).to_contain_text("90 % interval 1.21 % to 3.34 %")
    expect(card).to_contain_text("Games, ios")
    assert answers.of("/predict")[0].body == {"app_id": "APP_1"}
    first.get_by_role("link").click()
    expect(page.get_by_label("App", exact=True)).to_have_value("APP_2")
    assert answers.of("/find-similar")[-1].body["app_id"] == "APP_2"


def test_two_versions_stand_side_by_side(visit, answers):
    page = settled(visit(VIEWS["both"]))
    assert [asked.body["version"] for asked in answers.of("/find-similar")] == ["v1", "v2"]
    expect(page.get_by_text("3 apps of 7 in both versions")).to_be_visible()
    expect(page.get_by_text("in both", exact=True)).to_have_count(6)


def test_an_app_is_chosen_while_typing(visit, answers):
    page = visit("#/apps")
    page.get_by_label("App", exact=True).press_sequentially("garden 29")
    options = page.get_by_role("option")
    expect(options.first).to_contain_text("Puzzle Garden 29")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(options.first).to_be_hidden()
    settled(page)
    assert answers.of("/find-similar")[0].body["app_id"] == "APP_290"


def test_a_new_app_is_described(visit, answers):
    page = visit("#/apps")
    page.get_by_role("radio", name="A new app").check()
    page.get_by_label("Name", exact=True).fill("Puzzle")
    page.get_by_label("Platform", exact=True).fill("ios")
    page.get_by_label("Only the category").fill("Games")
    page.get_by_role("button", name="Find").click()
    expect(page.locator(".apps > li").first).to_be_visible()
    body = answers.of("/find-similar")[0].body
    assert body["app"] == {"name": "Puzzle", "platform": "ios"}
    assert body["filters"] == {"category": ["Games"]}
    assert answers.of("/predict")[0].body == {"app": body["app"]}


def test_an_experiment_shows_its_decision_numbers_and_curve(visit):
    page = visit(VIEWS["experiment"])
    verdict = page.get_by_role("region", name="Decision")
    expect(verdict).to_contain_text("treatment wins")
    expect(verdict).to_contain_text("+19 % (95 % always-valid interval +2.5 % to +37 %)")
    row = page.get_by_role("row").filter(has_text="treatment").first
    for words in ("6,085", "5.62 %", "+19 %", "+2.5 % to +37 %"):
        expect(row).to_contain_text(words)
    expect(page.get_by_text("186 units still")).to_be_visible()
    expect(page.get_by_text("holds")).to_be_visible()
    expect(page.get_by_text("as planned")).to_be_visible()
    chart = page.get_by_role("img", name="click: treatment against control")
    assert chart.locator(".band").get_attribute("d").count("L") == 2 * 58 - 1
    chart.focus()
    page.keyboard.press("Home")
    expect(page.locator(".readout")).to_contain_text("200 units")
    expect(page.locator(".readout")).to_contain_text("too early for an interval")


@pytest.mark.parametrize(
    ("state", "decision", "buttons"),
    [
        ("draft", "keep_going", ["Start"]),
        ("running", "keep_going", ["Stop"]),
        ("running", "winner", ["Stop", "Decide for treatment"]),
        ("running", "no_difference", ["Stop", "Decide for control"]),
        ("running", "invalid", ["Stop"]),
        ("stopped", "winner", ["Decide for treatment"]),
        ("decided", "winner", []),
    ],
)
def test_only_what_is_allowed_can_be_pressed(visit, answers, state, decision, buttons):
    judgement = told.EXPERIMENT["judgement"] | {
        "decision": decision,
        "winner": "treatment" if decision == "winner" else None,
    }
    answers["/experiments/apps-v1-v2"] = told.EXPERIMENT | {"state": state, "judgement": judgement}
    page = visit(VIEWS["experiment"])
    expect(page.get_by_role("heading", name="apps-v1-v2")).to_be_visible()
    assert page.locator(".actions button").all_inner_texts() == buttons


def test_stopping_an_experiment_is_posted_and_shown(visit, answers):
    def stop(_):
        answers["/experiments/apps-v1-v2"] = told.EXPERIMENT | {"state": "stopped"}
        return {}

    answers["/experiments/apps-v1-v2/stop"] = stop
    page = visit(VIEWS["experiment"])
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("stopped", exact=True)).to_be_visible()
    assert [asked.method for asked in answers.of("/experiments/apps-v1-v2/stop")] == ["POST"]


def test_a_refused_action_is_explained(visit, answers):
    answers["/experiments/apps-v1-v2/stop"] = problem(403, "The key has not the scope.")
    page = visit(VIEWS["experiment"])
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("alert")).to_contain_text("The key has not the scope.")
    expect(page.get_by_role("button", name="Stop")).to_be_enabled()


def test_a_point_of_the_map_is_found_chosen_and_linked(visit):
    page = settled(visit("#/map/apps"))
    page.get_by_role("searchbox").fill("garden 77")
    expect(page.get_by_text("1 found")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Puzzle Garden 77")).to_be_visible()
    expect(page).to_have_url(re.compile("point=APP_77"))
    expect(page.locator(".map-tip")).to_contain_text("Puzzle Garden 77")
    page.get_by_role("link", name="Similar apps").click()
    expect(page.get_by_label("App", exact=True)).to_have_value("APP_77")


def test_a_finger_moves_the_map_and_chooses_a_point(visit):
    page = settled(visit("#/map/apps", has_touch=True))
    box = page.locator("canvas").bounding_box()
    page.get_by_role("button", name="Zoom in").tap()
    expect(page).to_have_url(re.compile("[?&]z="))
    page.get_by_role("searchbox").fill("garden 77")
    page.keyboard.press("Enter")
    page.get_by_role("searchbox").fill("")
    expect(page).to_have_url(re.compile("point=APP_77"))
    page.goto(page.url.replace("point=APP_77", "").rstrip("&"))
    expect(page.get_by_text("Choose a point")).to_be_visible()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.get_by_role("heading", name="Puzzle Garden 77")).to_be_visible()


def test_the_map_moves_by_mouse_wheel_and_keys(visit):
    page = settled(visit("#/map/apps"))
    canvas = page.locator("canvas")
    canvas.hover()
    page.mouse.wheel(0, -600)
    expect(page).to_have_url(re.compile("[?&]z="))
    near = page.url
    page.mouse.down()
    page.mouse.move(500, 300, steps=4)
    page.mouse.up()
    expect(page).not_to_have_url(near)
    canvas.focus()
    page.keyboard.press("0")
    expect(page).not_to_have_url(re.compile("z="))
    page.keyboard.press("Shift+ArrowRight")
    said = page.locator("#status")
    expect(said).to_contain_text("Puzzle Garden")
    page.keyboard.press("Enter")
    expect(page.locator(".chosen h2")).to_be_visible()


def test_a_map_is_shown_also_while_the_list_of_maps_fails(visit, answers):
    answers["/maps"] = problem(503, "One of them is damaged.")
    page = settled(visit("#/map/apps"))
    expect(page.get_by_role("button", name="Games")).to_be_visible()


def test_a_group_of_the_map_can_be_hidden(visit):
    page = settled(visit("#/map/apps"))
    before = page.evaluate(DRAWN)
    page.get_by_role("button", name="Games").click()
    expect(page.get_by_role("button", name="Games")).to_have_attribute("aria-pressed", "false")
    assert page.evaluate(DRAWN) != before


def test_an_account_of_the_map_shows_similar_ones(visit, answers):
    near = [{"account_id": "APP_5", "score": 0.8, "text": "Garden tools"}]
    answers["/accounts/similar"] = {"account_id": "APP_3", "results": near}
    page = visit("#/map/accounts?point=APP_3")
    page.get_by_role("button", name="Similar accounts").click()
    page.get_by_role("button", name="APP_5").click()
    expect(page.get_by_role("heading", name="Puzzle Garden 5")).to_be_visible()
    assert answers.of("/accounts/similar")[0].query == {"account_id": "APP_3", "k": "8"}


def test_nothing_is_wider_than_a_phone(visit):
    page = visit(viewport={"width": 360, "height": 740}, has_touch=True)
    for name in VIEWS:
        show(page, name)
        widths = page.evaluate(
            "[document.documentElement.scrollWidth, document.querySelector('main').scrollWidth]"
        )
        assert max(widths) <= 360, name


def test_text_stands_out_from_its_ground(visit):
    page = visit()
    for name in VIEWS:
        show(page, name)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (int(re.search(r"\d+", ground)[0]) < 60) == (scheme == "dark")
            assert page.evaluate(CONTRASTS) == [], (name, scheme)


def test_the_theme_is_switched_and_kept(visit):
    page = settled(visit(SEARCH, color_scheme="light"))
    switch = page.locator("#theme-switch")
    switch.click()
    switch.click()
    expect(switch).to_have_attribute("aria-label", "Colours: dark")
    page.reload()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


def test_back_closes_a_document(visit):
    page = settled(visit(SEARCH))
    page.get_by_role("link", name="Lease agreement 1").click()
    expect(page.locator(".panel")).to_be_visible()
    page.go_back()
    expect(page.locator(".panel")).to_be_hidden()
    expect(page.locator(".hit")).to_have_count(4)
