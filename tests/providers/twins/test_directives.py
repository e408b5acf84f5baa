"""Orders inside a prompt, and faults as they are spelt."""

import pytest

from providers.twins.directives import directives, fault_order, split_model


def test_orders_are_taken_out_of_the_text():
    found = directives("Раз [[tokens=50]]два[[echo]] [[tag=a b]]")

    assert found.text == "Раз два "
    assert found.count("tokens") == 50
    assert found.has("echo")
    assert found.word("tag") == "a b"


def test_the_last_of_two_orders_counts():
    assert directives("[[delay_ms=5]][[delay_ms=20]]").seconds("delay_ms", 1) == 0.02


def test_what_is_no_number_is_no_order():
    assert directives("[[tokens=many]][[delay_ms=x]]").seconds("delay_ms", 1) == 1


@pytest.mark.parametrize(
    ("spec", "order"),
    [
        ("cut", ("cut", {})),
        ("stall_resume.after=3.hold=20", ("stall_resume", {"after": "3", "hold": "20"})),
        ("usage_over.x=1.5", ("usage_over", {"x": "1.5"})),
        ("http_429.ra=1", ("http_429", {"ra": "1"})),
    ],
)
def test_a_fault_is_spelt_with_dots(spec, order):
    assert fault_order(spec) == order


def test_a_models_suffix_is_a_fault():
    assert split_model("GigaChat-2--cut.after=3") == ("GigaChat-2", "cut.after=3")
    assert split_model("GigaChat-2") == ("GigaChat-2", "")
