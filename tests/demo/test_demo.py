"""`argot demo` on real agents, its data and its page."""

import json
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from argot.cli import app
from argot.demo import page, tables
from argot.demo.job import Step
from argot.errors import InputError


def test_the_files_are_what_the_script_writes(tmp_path):
    tables.make_breast_cancer(tmp_path)
    for name in ("clinic.csv", "laboratory.csv"):
        assert (tmp_path / name).read_bytes() == (tables.FOLDER / name).read_bytes()


def test_the_files_are_the_breast_cancer_data_split_in_two():
    case = tables.breast_cancer()
    left, right = pd.read_csv(case.alice), pd.read_csv(case.bob)
    both = left.merge(right, on=case.key)
    assert len(set(left[case.key]) | set(right[case.key])) == 569
    assert (len(left), len(right), len(both)) == (540, 541, 512)
    assert left[case.key].is_unique and right[case.key].is_unique
    assert list(both.columns) == [case.key, *case.alice_columns, *case.bob_columns, case.label]
    assert list(left[case.key][:20]) != sorted(left[case.key][:20])


def test_synthetic_case(tmp_path):
    case = tables.credit(1000, tmp_path)
    left, right = pd.read_csv(case.alice), pd.read_csv(case.bob)
    assert len(left.merge(right, on=case.key)) == 900
    assert 0.1 < right[case.label].mean() < 0.4


class Balanced(HTMLParser):
    """Complains about tags that do not close."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_is_well_formed_self_contained_and_escapes():
    curve = page.Curve("a<b", np.array([0, 0.5, 1]), np.array([0, 0.9, 1]))
    text = page.render(
        page.Page(
            "t<script>",
            "n&n",
            [("AUC", "0.9")],
            [curve],
            [Step("join", 1.0, 2, 3000)],
            ["<b>x</b>"],
            [("alice", 10.0)],
            ["c<d"],
            "all <of> it",
        )
    )
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    assert "<script" not in text and "<b>x" not in text
    assert "http" not in text


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    arguments = ["demo", "--json", str(folder / "out.json"), "--html", str(folder / "out.html")]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output, json.loads((folder / "out.json").read_text()), (folder / "out.html").read_text()


def test_the_model_is_right(outcome):
    _, figures, _ = outcome
    assert figures["intersection"] == 512
    assert abs(figures["auc"] - figures["auc_plain"]) <= 0.005
    assert figures["coef_max_diff"] <= 1e-2
    assert 0.8 < figures["ks"] <= 1 and 0.8 < figures["ks_plain"] <= 1
    assert figures["bytes_total"] > 0 and figures["rounds"] > 0 and figures["seconds"] > 0


def test_it_says_who_learned_what(outcome):
    output, figures, html = outcome
    learned = "\n".join(figures["disclosed"])
    assert "float64[154" not in learned  # no prediction, only what `evaluate` makes of them
    assert "bob learned the value {accuracy: float64[], auc: float64[]" in learned and "rate: float64[41]}" in learned
    assert "carol learned number of rows in common" in learned
    assert not [line for line in figures["disclosed"] if line.startswith("alice learned the value")]
    # The step that only checks reveals the weights: real reveals, so they are told of as well.
    assert len([line for line in figures["disclosed"] if line.startswith("bob learned the value float64[30]")]) == 1
    for text in ("it is trusted by all of them", "check only: reads both files", "512 rows in both", "train 20 epochs"):
        assert text in " ".join(output.split()), text
    assert html.count("<li>") >= len(figures["disclosed"])


def test_each_step_says_what_it_cost(outcome):
    output, figures, html = outcome
    steps = {line.split("  ")[1]: line for line in output.splitlines() if " rounds " in line and line.startswith("  ")}
    train = next(line for name, line in steps.items() if name.startswith("train 20 epochs"))
    rounds = int(train.split(" rounds")[0].split()[-1].replace(",", ""))
    assert 1000 < rounds <= figures["rounds"] and train.rstrip().endswith("weights stay secret")
    assert any(name.startswith("join by private set") for name in steps)
    assert "<details>" in html and "Cost by node" in html


def test_a_synthetic_case_of_any_size(tmp_path):
    arguments = ["demo", "--rows", "200", "--epochs", "2", "--quiet", "--json", str(tmp_path / "o.json")]
    result = CliRunner().invoke(app, [*arguments, "--html", str(tmp_path / "o.html")], catch_exceptions=False)
    assert result.exit_code == 0 and result.output == ""
    figures = json.loads((tmp_path / "o.json").read_text())
    assert figures["intersection"] == 180 and 0 <= figures["auc"] <= 1 and figures["coef_max_diff"] <= 1e-2


def test_files_that_cannot_be_written_are_refused_before_the_job(tmp_path):
    for option in ("--json", "--html"):
        with pytest.raises(InputError, match="no folder"):
            CliRunner().invoke(app, ["demo", option, str(tmp_path / "no" / "file")], catch_exceptions=False)


def test_help_names_every_option():
    output = CliRunner().invoke(app, ["demo", "--help"]).output
    for option in ("--rows", "--epochs", "--batch-size", "--protocol", "--json", "--html"):
        assert option in output
