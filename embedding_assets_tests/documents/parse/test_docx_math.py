import pytest
from lxml import etree

from embedding_assets.documents.parse.docx import read_docx
from embedding_assets.documents.parse.docx_math import latex
from embedding_assets_tests.documents.parse.docx_files import NAMESPACES, write_docx


def r(text):
    return f'<m:r><m:t xml:space="preserve">{text}</m:t></m:r>'


def e(text):
    return f"<m:e>{r(text)}</m:e>"


def of(tag, *children, **properties):
    given = "".join(f'<m:{name} m:val="{value}"/>' for name, value in properties.items())
    return f"<m:{tag}><m:{tag}Pr>{given}</m:{tag}Pr>{''.join(children)}</m:{tag}>"


def part(tag, text):
    return f"<m:{tag}>{r(text)}</m:{tag}>"


@pytest.mark.parametrize(
    ("math", "text"),
    [
        (r("A=π") + of("sSup", e("r"), part("sup", "2")), r"A= \pi r^{2}"),
        (of("sSubSup", e("x"), part("sub", "i"), part("sup", "2")), "x_{i}^{2}"),
        (of("sPre", part("sub", "1"), part("sup", ""), e("n")), "{}_{1}n"),
        (of("f", part("num", "1"), part("den", "n")), r"\frac{1}{n}"),
        (of("f", part("num", "1"), part("den", "n"), type="lin"), "1/n"),
        (of("f", part("num", "n"), part("den", "k"), type="noBar"), r"\genfrac{}{}{0pt}{}{n}{k}"),
        (of("rad", "<m:deg/>", e("x")), r"\sqrt{x}"),
        (of("rad", part("deg", "3"), e("x")), r"\sqrt[3]{x}"),
        (of("d", e("x")), r"\left(x\right)"),
        (of("d", e("a"), e("b"), begChr="{", endChr="", sepChr=";"), r"\left\{a ; b\right."),
        (of("nary", part("sub", "0"), part("sup", "∞"), e("k"), chr="∑"), r"\sum_{0}^{\infty}k"),
        (of("nary", "<m:sub/><m:sup/>", e("x")), r"\int x"),
        (of("func", part("fName", "sin"), e("x")), r"\sin(x)"),
        (of("func", part("fName", "sin"), f"<m:e>{of('d', e('x'))}</m:e>"), r"\sin\left(x\right)"),
        (of("limLow", e("lim"), part("lim", "n→0")), r"\lim_{n \rightarrow 0}"),
        (of("limUpp", e("x"), part("lim", "n")), "x^{n}"),
        (of("acc", e("x")), r"\hat{x}"),
        (of("acc", e("v"), chr="\u20d7"), r"\vec{v}"),
        (of("bar", e("x"), pos="top"), r"\overline{x}"),
        (of("groupChr", e("x"), pos="top"), r"\overbrace{x}"),
        (of("m", f"<m:mr>{e('a')}{e('b')}</m:mr><m:mr>{e('c')}{e('d')}</m:mr>"),
         r"\begin{matrix}a & b \\ c & d\end{matrix}"),
        (of("eqArr", e("x=1")), "x=1"),
        (of("eqArr", e("x=1"), e("y=2")), r"\begin{matrix}x=1 \\ y=2\end{matrix}"),
        (of("borderBox", e("x")), r"\boxed{x}"),
        (of("phant", e("x"), show="0") + r("y"), "y"),
        (of("box", e("dx")), "dx"),
        (r("𝑥𝟐"), "x2"),
        (r("50% …"), r"50\% \text{…}"),
        ("<w:del>" + r("gone") + "</w:del><w:ins>" + r("in") + "</w:ins>", "in"),
        ("", ""),
    ],
)  # fmt: skip
def test_an_equation_is_latex(math, text):
    assert latex(etree.fromstring(f"<m:oMath {NAMESPACES}>{math}</m:oMath>")) == text


def test_equations_stand_in_the_text_between_dollar_signs(tmp_path):
    inline, shown = f"<m:oMath>{r('a=1')}</m:oMath>", f"<m:oMath>{r('b=2')}</m:oMath>"
    body = (
        f"<w:p><w:r><w:t>where </w:t></w:r>{inline}<w:r><w:t>.</w:t></w:r></w:p>"
        f"<w:p><m:oMathPara>{shown}{shown}</m:oMathPara></w:p>"
    )
    document = read_docx(write_docx(tmp_path / "a.docx", body))
    assert [it.text for it in document.blocks] == ["where $a=1$.", r"$$b=2 \\ b=2$$"]
