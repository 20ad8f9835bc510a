"""Equations of Office (OMML, ISO/IEC 29500-1, 22.1) as LaTeX, which reads in one line."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator

from embedding_assets.documents.parse.docx_package import Element, W

M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"

_COMMANDS = {
    "×": "times", "÷": "div", "±": "pm", "∓": "mp", "⋅": "cdot", "·": "cdot", "∗": "ast",
    "≤": "leq", "≥": "geq", "≠": "neq", "≈": "approx", "≡": "equiv", "∼": "sim", "≅": "cong",
    "∝": "propto", "≪": "ll", "≫": "gg", "∞": "infty", "∂": "partial", "∇": "nabla",
    "∅": "emptyset", "∈": "in", "∉": "notin", "⊂": "subset", "⊆": "subseteq",
    "⊃": "supset", "⊇": "supseteq",
    "∩": "cap", "∪": "cup", "∧": "wedge", "∨": "vee", "¬": "neg", "∀": "forall", "∃": "exists",
    "⊥": "perp", "∥": "parallel", "∠": "angle", "∴": "therefore", "→": "rightarrow",
    "←": "leftarrow", "↔": "leftrightarrow", "⇒": "Rightarrow", "⇐": "Leftarrow",
    "⇔": "Leftrightarrow", "↦": "mapsto", "↑": "uparrow", "↓": "downarrow",
    "⋯": "cdots", "⋮": "vdots", "⋱": "ddots", "√": "surd", "ℏ": "hbar", "ℓ": "ell", "′": "prime",
    "⊕": "oplus", "⊗": "otimes", "∘": "circ", "†": "dagger", "⟨": "langle", "⟩": "rangle",
    "〈": "langle", "〉": "rangle", "⌈": "lceil", "⌉": "rceil", "⌊": "lfloor", "⌋": "rfloor",
    "‖": "|", "{": "{", "}": "}", "#": "#", "%": "%", "&": "&", "$": "$", "_": "_",
    "∑": "sum", "∏": "prod", "∐": "coprod", "∫": "int", "∬": "iint", "∭": "iiint", "∮": "oint",
    "∯": "oiint", "∰": "oiiint", "⋃": "bigcup", "⋂": "bigcap", "⋀": "bigwedge", "⋁": "bigvee",
    "⨁": "bigoplus", "⨂": "bigotimes",
}  # fmt: skip
_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho"
    " varsigma sigma tau upsilon varphi chi psi omega"
).split()
_COMMANDS |= {chr(0x3B1 + place): name for place, name in enumerate(_GREEK)}
_COMMANDS |= {
    chr(0x391 + place): name.title() for place, name in enumerate(_GREEK) if name[:3] != "var"
}
_COMMANDS |= {"ϵ": "epsilon", "ϕ": "phi", "Φ": "Phi", "ϑ": "vartheta", "ϖ": "varpi", "ϱ": "varrho"}
_ACCENTS = {
    "\u0302": "hat", "\u0303": "tilde", "\u0304": "bar", "\u0305": "bar", "\u0307": "dot",
    "\u0308": "ddot", "\u030c": "check", "\u0306": "breve", "\u0301": "acute", "\u0300": "grave",
    "\u20d7": "vec", "\u20d6": "overleftarrow", "^": "hat", "~": "tilde", "¯": "bar",
}  # fmt: skip
_FUNCTIONS = frozenset(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh coth log ln lg exp det dim ker"
    " deg arg gcd hom lim liminf limsup max min sup inf Pr".split()
)
_OPERATORS = frozenset(("argmax", "argmin"))
_SPACES = re.compile(r"\s+")
_OFF = frozenset(("0", "false", "off"))


def latex(math: Element) -> str:
    """The LaTeX of an `m:oMath` or `m:oMathPara`; "" where it is empty."""
    return _SPACES.sub(" ", _one(math)).strip()


def _all(element: Element) -> str:
    return "".join(map(_one, element))


def _one(element: Element) -> str:
    handler = _HANDLERS.get(element.tag)
    if handler is not None:
        return handler(element)
    return "" if element.tag.endswith("Pr") or element.tag in _GONE else _all(element)


def _text(element: Element) -> str:
    """Characters as LaTeX; letters of mathematical alphabets as plain ones."""
    return "".join(map(_character, element.text or ""))


def _character(char: str) -> str:
    if "\U0001d400" <= char <= "\U0001d7ff":
        char = unicodedata.normalize("NFKC", char)
    command = _COMMANDS.get(char)
    if char == "…":
        return r"\text{…}"
    if command is None:
        return char
    return f" \\{command} " if command.isalpha() else f"\\{command}"


def _part(element: Element, tag: str) -> str:
    child = element.find(f"{M}{tag}")
    return "" if child is None else _all(child).strip()


def _parts(element: Element, tag: str) -> Iterator[str]:
    return (_all(child).strip() for child in element.findall(f"{M}{tag}"))


def _property(element: Element, tag: str, default: str) -> str:
    """A property's value; `default` where the property is not given."""
    found = element.find(f"{element.tag}Pr/{M}{tag}")
    return default if found is None else found.get(f"{M}val", "")


def _below_above(below: str, above: str) -> str:
    return (f"_{{{below}}}" if below else "") + (f"^{{{above}}}" if above else "")


def _fraction(element: Element) -> str:
    over, under = _part(element, "num"), _part(element, "den")
    match _property(element, "type", "bar"):
        case "noBar":
            return f"\\genfrac{{}}{{}}{{0pt}}{{}}{{{over}}}{{{under}}}"
        case "lin":
            return f"{over}/{under}"
        case _:
            return f"\\frac{{{over}}}{{{under}}}"


def _scripts(element: Element) -> str:
    base = _part(element, "e")
    return base + _below_above(_part(element, "sub"), _part(element, "sup"))


def _scripts_before(element: Element) -> str:
    scripts = _below_above(_part(element, "sub"), _part(element, "sup"))
    return (f"{{}}{scripts}" if scripts else "") + _part(element, "e")


def _delimited(element: Element) -> str:
    opening, closing = _property(element, "begChr", "("), _property(element, "endChr", ")")
    between = _property(element, "sepChr", "|")
    inner = f" {between} ".join(_parts(element, "e"))
    return f"\\left{_delimiter(opening)}{inner}\\right{_delimiter(closing)}"


def _delimiter(char: str) -> str:
    shown = _character(char).rstrip() if char else "."
    return f"{shown.strip()} " if len(shown) > 2 else shown


def _large_operator(element: Element) -> str:
    operator = _character(_property(element, "chr", "∫")).strip()
    limits = _below_above(_part(element, "sub"), _part(element, "sup"))
    inner = _part(element, "e")
    between = "" if limits or inner.startswith(("(", "\\")) else " "
    return f"{operator}{limits}{between}{inner}"


def _root(element: Element) -> str:
    degree = _part(element, "deg")
    return f"\\sqrt{f'[{degree}]' if degree else ''}{{{_part(element, 'e')}}}"


def _function(element: Element) -> str:
    name, inner = _part(element, "fName"), _part(element, "e")
    plain = name.strip()
    if plain in _FUNCTIONS:
        bracketed = inner.startswith(("(", "\\left"))
        return f"\\{plain}{inner if bracketed else f'({inner})'}"
    return name + inner


def _limit(element: Element) -> str:
    base, limit = _part(element, "e"), _part(element, "lim")
    if base in _FUNCTIONS:
        base = f"\\{base}"
    elif base in _OPERATORS:
        base = f"\\operatorname{{{base}}}"
    return f"{base}_{{{limit}}}" if element.tag == f"{M}limLow" else f"{base}^{{{limit}}}"


def _accented(element: Element) -> str:
    char = _property(element, "chr", "\u0302")
    return f"\\{_ACCENTS.get(char, 'hat')}{{{_part(element, 'e')}}}"


def _barred(element: Element) -> str:
    command = "overline" if _property(element, "pos", "bot") == "top" else "underline"
    return f"\\{command}{{{_part(element, 'e')}}}"


def _grouped(element: Element) -> str:
    command = "overbrace" if _property(element, "pos", "bot") == "top" else "underbrace"
    return f"\\{command}{{{_part(element, 'e')}}}"


def _matrix(element: Element) -> str:
    return _stacked(" & ".join(_parts(row, "e")) for row in element.findall(f"{M}mr"))


def _lines(element: Element) -> str:
    return _stacked(_parts(element, "e"))


def _stacked(lines: Iterable[str]) -> str:
    stacked = list(lines)
    if len(stacked) == 1:
        return stacked[0]
    return r"\begin{matrix}" + r" \\ ".join(stacked) + r"\end{matrix}"


def _boxed(element: Element) -> str:
    return f"\\boxed{{{_part(element, 'e')}}}"


def _phantom(element: Element) -> str:
    return "" if _property(element, "show", "1") in _OFF else _part(element, "e")


def _equations(element: Element) -> str:
    """The equations of a paragraph of them, one per line."""
    return r" \\ ".join(_parts(element, "oMath"))


_GONE = frozenset((f"{W}del", f"{W}moveFrom"))
_MEANINGS: dict[str, Callable[[Element], str]] = {
    "t": _text,
    "f": _fraction,
    "sSup": _scripts,
    "sSub": _scripts,
    "sSubSup": _scripts,
    "sPre": _scripts_before,
    "d": _delimited,
    "nary": _large_operator,
    "rad": _root,
    "func": _function,
    "limLow": _limit,
    "limUpp": _limit,
    "acc": _accented,
    "bar": _barred,
    "groupChr": _grouped,
    "m": _matrix,
    "eqArr": _lines,
    "borderBox": _boxed,
    "phant": _phantom,
    "oMathPara": _equations,
}
_HANDLERS = {f"{W}t": _text} | {f"{M}{tag}": handler for tag, handler in _MEANINGS.items()}
