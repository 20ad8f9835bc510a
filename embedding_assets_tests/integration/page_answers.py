"""What the service answers to the page, in literals."""

import io
import math
import random

from PIL import Image, ImageDraw

HOSTILE = '<img src=x onerror="window.broken=1"><script>window.broken=1</script>'


def hit(number, **fields):
    return {
        "text": "The notice period is three months. It begins on the first day of a month.",
        "highlights": [[4, 17]],
        "score": 0.91 - number / 50,
        "doc_id": f"doc-{number}",
        "path": f"contracts/lease-{number}.pdf",
        "title": f"Lease agreement {number}",
        "pages": [3, 4],
        "boxes": [{"page": 3, "left": 72, "top": 300, "right": 500, "bottom": 340}],
        "heading_path": ["Terms", "§ 4 Notice"],
        "chunk_id": f"doc-{number}:7",
        "kind": "paragraph",
        "image": f"/documents/image?doc_id=doc-{number}&page=3&chunk_id=doc-{number}%3A7",
    } | fields


def found(*hits, **fields):
    return {
        "query": "notice period",
        "mode": "hybrid",
        "model_version": "minilm-1",
        "index_version": "12",
        "experiment": None,
        "results": list(hits),
        "took_ms": 12.4,
    } | fields


LONG = (
    "Either party may end this agreement in writing. The notice period is three months to the end "
    "of a quarter, unless the parties agreed on something else in an annex that both of them "
    "signed. Where the law sets a longer period, that one holds. A notice that comes late counts "
    "for the next date that is possible. "
) * 3
TABLE = "| Item | Period |\n|---|---|\n| Flat | 3 months |\n| Office | notice period of 6 months |"
SEARCH = found(
    hit(1),
    hit(2, text=LONG, highlights=[[52, 65], [361, 374]], title=None),
    hit(3, text=TABLE, highlights=[[59, 72]], kind="table", pages=[9], heading_path=["Annex B"]),
    hit(4, text="Die Frist 🙂 endet: notice period.", highlights=[[19, 32]], image=None, pages=[]),
)

DOCUMENTS = {
    "documents": [
        {
            "doc_id": f"doc-{number}",
            "path": f"contracts/lease-{number}.pdf",
            "title": f"Lease agreement {number}" if number != 2 else None,
            "pages": 4 * number,
            "chunks": 9 * number,
            "format": "pdf",
        }
        for number in range(1, 6)
    ],
    "next": "doc-5",
}

READ = {
    "doc_id": "doc-4",
    "path": "contracts/lease-4.docx",
    "title": "Lease agreement 4",
    "format": "docx",
    "language": None,
    "pages": [],
    "next": None,
    "blocks": [
        {"kind": "title", "text": "Lease agreement", "level": 0, "marker": "", "pages": []},
        {"kind": "heading", "text": "Notice", "level": 1, "marker": "4", "pages": []},
        {"kind": "paragraph", "text": LONG, "level": 0, "marker": "", "pages": []},
        {"kind": "table", "text": TABLE, "level": 0, "marker": "", "pages": []},
    ],
}


PDF = READ | {
    "doc_id": "doc-1",
    "path": "contracts/lease-1.pdf",
    "title": "Lease agreement 1",
    "format": "pdf",
    "pages": [{"number": page, "width": 595.0, "height": 842.0} for page in range(1, 13)],
}


def picture(width=800, page=1):
    image = Image.new("RGB", (width, round(width * 1.414)), "white")
    pen = ImageDraw.Draw(image)
    pen.text((width * 0.1, width * 0.08), f"Page {page}", fill="black")
    for line in range(34):
        top = width * (0.16 + line * 0.034)
        pen.rectangle(
            [width * 0.1, top, width * (0.9 - (line % 5) * 0.03), top + width * 0.009], "#888"
        )
    pen.rectangle(
        [width * 0.09, width * 0.5, width * 0.91, width * 0.6], outline="#e0a000", width=4
    )
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def app(number, **fields):
    return {
        "app_id": f"APP_{number}",
        "name": f"Puzzle Garden {number}",
        "category": "Games",
        "platform": "android" if number % 2 else "ios",
        "score": 0.97 - number / 40,
        "reasons": ["same category Games", "name shares 'puzzle', 'garden'"],
        "rate": 0.0234 - number / 2000,
        "impressions": 120_000 // number,
    } | fields


def similar(*apps, **fields):
    return {
        "version": "v1",
        "index_version": "3",
        "placed_by": "known",
        "experiment": None,
        "results": list(apps),
        "took_ms": 3.2,
    } | fields


SIMILAR = similar(*(app(number) for number in range(2, 9)))
SIMILAR_V2 = similar(*(app(number) for number in (3, 4, 11, 6, 12)), version="v2")

PREDICTION = {
    "rate": 0.0213,
    "low": 0.0121,
    "high": 0.0334,
    "level": 0.9,
    "has_signal": True,
    "category_rate": 0.0172,
    "model": "ridge v2",
    "segments": [
        {
            "category": "Games",
            "platform": "ios",
            "tier": "high",
            "rate": 0.024,
            "low": 0.019,
            "high": 0.03,
            "apps": [f"APP_{number}" for number in range(2, 10)],
            "weight": 0.62,
        },
        {
            "category": "Games",
            "platform": None,
            "tier": "middle",
            "rate": 0.018,
            "low": 0.012,
            "high": 0.025,
            "apps": ["APP_31"],
            "weight": 0.38,
        },
    ],
}


def plan(**fields):
    return {
        "id": "apps-v1-v2",
        "variants": [
            {"name": "control", "weight": 1, "setting": "v1"},
            {"name": "treatment", "weight": 1, "setting": "v2"},
        ],
        "metrics": [
            {"name": "click", "kind": "rate", "direction": "up", "guard": False, "margin": None},
            {"name": "latency", "kind": "mean", "direction": "down", "guard": True, "margin": 0.1},
        ],
        "endpoint": "find-similar",
        "layer": None,
        "share": 1.0,
        "alpha": 0.05,
        "minimum_units": 500,
        "minimum_days": 7.0,
        "maximum_days": 28.0,
        "attribution_seconds": 86400.0,
        "indifference": 0.02,
        "hypothesis": "The second version of the vectors finds apps that are opened more often.",
    } | fields


def summary(plan, state):
    return {
        "plan": plan,
        "state": state,
        "share": 1.0,
        "created": "2026-03-01T09:00:00+00:00",
        "started": None if state == "draft" else "2026-03-02T09:00:00+00:00",
        "ended": None,
        "decision": None,
    }


def comparison(metric, **fields):
    return {
        "metric": metric,
        "variant": "treatment",
        "control": "control",
        "kind": "rate",
        "n_control": 6021,
        "n": 5988,
        "control_mean": 0.0471,
        "mean": 0.0562,
        "difference": 0.0091,
        "low": 0.0012,
        "high": 0.0171,
        "lift": 0.193,
        "lift_low": 0.025,
        "lift_high": 0.372,
        "level": 0.95,
        "p_value": 0.018,
        "is_significant": True,
        "is_better": True,
        "is_worse": False,
        "is_breached": False,
    } | fields


def _points():
    noise = random.Random(7)
    drift = 0.0
    for step in range(1, 61):
        n = step * 200
        drift = 0.9 * drift + noise.uniform(-0.002, 0.002)
        wide = 0.9 * math.sqrt(math.log(n + 10) / n) * 0.31
        difference = 0.0091 + drift
        known = step > 2
        yield {
            "n": n,
            "difference": difference,
            "low": difference - wide if known else None,
            "high": difference + wide if known else None,
        }


EXPERIMENT = summary(plan(), "running") | {
    "exposures": {"control": 6110, "treatment": 6085},
    "waiting": 186,
    "judgement": {
        "decision": "winner",
        "winner": "treatment",
        "reasons": [
            "click: 5.62 % with treatment against 4.71 % with control, +19 % (95 % always-valid "
            "interval +2.5 % to +37 %) after 12,009 units.",
        ],
        "comparisons": [
            comparison("click"),
            comparison(
                "latency",
                kind="mean",
                control_mean=11.9,
                mean=12.1,
                difference=0.2,
                low=-0.4,
                high=0.8,
                lift=0.017,
                lift_low=-0.034,
                lift_high=0.067,
                is_better=False,
                is_significant=False,
            ),
        ],
        "sample_ratio": {
            "counts": {"control": 6110, "treatment": 6085},
            "planned": {"control": 0.5, "treatment": 0.5},
            "p_value": 0.94,
            "is_sound": True,
            "alpha": 0.001,
        },
    },
    "curves": [{"metric": "click", "variant": "treatment", "points": list(_points())}],
}
EXPERIMENTS = {
    "experiments": [
        summary(plan(), "running"),
        summary(plan(id="search-hybrid", endpoint="search", hypothesis=""), "draft"),
        summary(plan(id="old-one", hypothesis="Shorter passages are opened more."), "decided"),
    ]
}


def map_of(count, groups=8, name="apps"):
    noise = random.Random(3)
    centres = [(noise.uniform(-10, 10), noise.uniform(-6, 6)) for _ in range(groups)]
    group = [noise.randrange(groups) for _ in range(count)]
    return {
        "name": name,
        "title": name.capitalize(),
        "x": [centres[each][0] + noise.gauss(0, 1.1) for each in group],
        "y": [centres[each][1] + noise.gauss(0, 0.8) for each in group],
        "id": [f"APP_{number}" for number in range(count)],
        "label": [f"Puzzle Garden {number}" for number in range(count)],
        "group": group,
        "groups": ["Games", "Finance", "Health", "Travel", "Music", "News", "Photo", "Education"][
            :groups
        ],
        "method": "pca",
        "explained": [0.21, 0.12],
    }


FACETS = {
    "passages": 90,
    "documents": 12,
    "categories": [{"category": "contracts", "count": 7}, {"category": "invoices", "count": 3}],
    "labels": [{"label": "ORG", "count": 40}, {"label": "MONEY", "count": 12}],
    "entities": [
        {"label": "ORG", "text": "Acme Holdings and Partners International", "count": 31},
        {"label": "PER", "text": "Zoë Müller", "count": 9},
        {"label": "MONEY", "text": "€ 1,200", "count": 5},
    ],
}

MAPS = {
    "maps": [
        {"name": "accounts", "title": "Accounts", "points": 400},
        {"name": "documents", "title": "Documents", "points": 300},
        {"name": "apps", "title": "Apps", "points": 500},
    ]
}
