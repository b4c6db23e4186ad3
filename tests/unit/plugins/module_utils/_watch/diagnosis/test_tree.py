# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import tree
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import (
    Cause,
    Confidence,
    Diagnosis,
    NotSeenError,
    Question,
    Symptom,
)


def cause(name: str, confidence: Confidence = Confidence.CERTAIN, symptom: Symptom = Symptom.SERVER) -> Cause:
    return Cause(symptom, name, f"it is {name}", (f"{name} was seen",), f"mend {name}", confidence)


def finds(*names: str) -> Callable[[object], Iterable[Cause]]:
    return lambda _evidence: map(cause, names)


def cannot(_evidence: object) -> Iterable[Cause]:
    raise NotSeenError("the unit", "systemctl does not answer", "run as root")


@pytest.mark.parametrize(
    ("questions", "names", "healthy"),
    [
        ((Question("a", finds()), Question("b", finds())), [], ["a", "b"]),
        ((Question("", finds()), Question("b", finds())), [], ["b"]),
        ((Question("a", finds("x", "y")), Question("b", finds())), ["x", "y"], ["b"]),
        ((Question("a", finds("x"), (Question("b", finds("y")),)),), ["x"], []),
        ((Question("a", finds(), (Question("b", finds("y")),)),), ["y"], ["a"]),
        ((Question("a", cannot, (Question("b", finds("y")), Question("c", finds()))),), ["y", "not_seen"], ["c"]),
    ],
    ids=["healthy", "nothing to say", "both causes", "below a cause", "below none", "below what can't be seen"],
)
def test_the_questions_are_asked(questions: tuple[Question[object], ...], names: list[str], healthy: list[str]) -> None:
    found = tree.diagnose(Symptom.SERVER, questions, None)
    assert [each.name for each in found.causes] == names
    assert list(found.healthy) == healthy


def test_what_could_not_be_seen_is_possible_and_has_a_remedy() -> None:
    (found,) = tree.diagnose(Symptom.BOT, (Question("a", cannot),), None).causes
    assert (found.symptom, found.confidence, found.remedy) == (Symptom.BOT, Confidence.POSSIBLE, "run as root")
    assert "the unit" in found.cause
    assert found.evidence == ("systemctl does not answer",)


def test_the_surest_comes_first_then_the_symptom_that_leads_to_the_others() -> None:
    order = [
        cause("a", Confidence.CERTAIN, Symptom.SERVER),
        cause("b", Confidence.CERTAIN, Symptom.LATENCY),
        cause("c", Confidence.LIKELY, Symptom.SERVER),
        cause("d", Confidence.LIKELY, Symptom.BOT),
        cause("e", Confidence.POSSIBLE, Symptom.SERVER),
    ]
    assert list(tree.ranked(reversed(order))) == order


def test_a_cause_of_two_symptoms_is_told_once() -> None:
    twice = [cause("a", symptom=Symptom.SERVER), cause("a", symptom=Symptom.BOT)]
    joined = tree.together([Diagnosis((twice[0],), ("x",)), Diagnosis((twice[1],), ("y",))])
    assert joined == Diagnosis((twice[0],), ("x", "y"))


def test_an_attempt_gives_what_was_seen_or_why_nothing_was() -> None:
    assert tree.seen(tree.attempt(lambda: 3)) == 3
    failed = tree.attempt(lambda: list(cannot(None)))
    assert isinstance(failed, NotSeenError)
    with pytest.raises(NotSeenError, match="systemctl"):
        tree.seen(failed)


def test_the_report_has_the_causes_first_and_what_is_healthy_in_one_line() -> None:
    assert tree.report(Diagnosis((cause("a"), cause("b", Confidence.LIKELY)), ("unit", "disk"))) == [
        "1. it is a [a, server, certain]",
        "   seen: a was seen",
        "   remedy: mend a",
        "2. it is b [b, server, likely]",
        "   seen: b was seen",
        "   remedy: mend b",
        "healthy: unit, disk",
    ]
    assert tree.report(Diagnosis()) == ["healthy: nothing that was looked at"]


DIES = cause("plugin_dies", Confidence.LIKELY, Symptom.PLUGIN)
ALIKE = Cause(Symptom.PLUGIN, "plugin_dies", "another dies", ("it ended",), "mend it", Confidence.LIKELY)
SLOW = cause("slow", Confidence.LIKELY, Symptom.LATENCY)
UNSEEN = cause("not_seen", Confidence.POSSIBLE, Symptom.LATENCY)


@pytest.mark.parametrize(
    ("causes", "heads"),
    [
        ((DIES, ALIKE, SLOW, UNSEEN), ["it is plugin_dies"]),
        # of the same symptom these explain it in different ways
        ((cause("a"), cause("b", Confidence.LIKELY)), ["it is a", "it is b"]),
        # nothing is sure enough to be followed from
        ((cause("a", Confidence.POSSIBLE), UNSEEN), ["it is a", "it is not_seen"]),
        # a surer one of a later symptom comes first
        ((cause("x", symptom=Symptom.BOT), cause("b", Confidence.LIKELY)), ["it is x", "it is b"]),
    ],
)
def test_what_follows_from_a_cause_is_told_under_it(causes: tuple[Cause, ...], heads: list[str]) -> None:
    results = tree.results(causes)
    assert [each["cause"] for each in results] == [each.cause for each in causes]
    assert [each["cause"] for each in results if not each["under"]] == heads
    told = tree.report(Diagnosis(causes))
    assert [line.split(". ")[0] for line in told if line[0].isdigit()] == [str(n + 1) for n in range(len(heads))]
    # nothing is lost
    for each in causes:
        assert any(each.cause in line for line in told)
        assert any(each.evidence[0] in line for line in told)
        assert any(each.remedy in line for line in told)


def test_a_result_has_all_of_it() -> None:
    assert cause("a").as_result() == {
        "symptom": "server",
        "name": "a",
        "cause": "it is a",
        "evidence": ["a was seen"],
        "remedy": "mend a",
        "confidence": "certain",
    }
