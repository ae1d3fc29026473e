"""What is special about Infobip over real HTTP, see test_simulators.py."""

import json

import pytest
from fakes import message
from providers import PROVIDERS, outcomes

from gateways.types import Outcome
from simulators.infobip import STATUSES, InfobipSimulator

adapter = PROVIDERS["infobip"].build
batch = PROVIDERS["infobip"].batch


@pytest.fixture
def simulator():
    with InfobipSimulator() as simulator:
        yield simulator


def test_one_call_for_500_texts(simulator):
    assert outcomes(adapter(simulator).send(batch(500))) == {Outcome.OK: 500}
    assert simulator.calls == {"POST /sms/3/messages": 1}


def test_the_same_number_twice(simulator):
    results = adapter(simulator).send([message("a"), message("b", body="Other")])
    assert outcomes(results) == {Outcome.OK: 2}
    assert simulator.accepted == {"8613800138000": 2}


@pytest.mark.parametrize("name", [n for n in STATUSES if n.startswith("REJECTED")])
def test_every_status(simulator, name):
    simulator.fail_phone("8613800138000", name)
    (result,) = adapter(simulator).send([message()])
    assert result.provider_code == name
    assert not simulator.accepted


def test_id_used_twice(simulator):
    """A proxy that makes a call again does not send twice."""
    gateway = adapter(simulator)
    gateway.nonce = lambda: "same"
    assert outcomes(gateway.send([message()])) == {Outcome.OK: 1}
    (result,) = gateway.send([message()])
    assert result.provider_code == "REJECTED_DUPLICATE_MESSAGE_ID"
    assert (result.outcome, result.provider_ref) == (Outcome.OK, "same")
    assert simulator.accepted == {"8613800138000": 1}


@pytest.mark.parametrize(
    ("values", "outcome", "code"),
    [
        ({"body": "长" * 1334}, Outcome.CONTENT, "REJECTED_MESSAGE_TOO_LONG"),
        ({"body": ""}, Outcome.BUG, "E400"),
    ],
)
def test_one_bad_text_among_good_ones(simulator, values, outcome, code):
    messages = batch(7) + [message("bad", **values)]
    *good, bad = adapter(simulator).send(messages)
    assert outcomes(good) == {Outcome.OK: 7}
    assert (bad.outcome, bad.provider_code) == (outcome, code)
    assert len(simulator.accepted) == 7


def test_sender_is_checked(simulator):
    simulator.senders = {"Shop"}
    (result,) = adapter(simulator).send([message()])
    assert (result.outcome, result.provider_code) == (
        Outcome.TEMPLATE,
        "REJECTED_SOURCE",
    )
    gateway = adapter(simulator, options={"sender": "Shop"})
    assert outcomes(gateway.send([message()])) == {Outcome.OK: 1}


def test_simulator_checks_shape(simulator):
    gateway = adapter(simulator)

    def post(content):
        answer = gateway._post("/sms/3/messages", content)
        return answer.status, json.loads(answer.body).get("errorCode")

    destination = {"to": "8613800138000"}
    good = {"destinations": [destination], "content": {"text": "x"}}
    assert post({"messages": [good]}) == (200, None)
    assert post({"messages": []}) == (400, "E400")
    assert post({"messages": [good | {"destinations": []}]}) == (400, "E400")
    long_id = good | {"destinations": [destination | {"messageId": "x" * 201}]}
    assert post({"messages": [long_id]}) == (400, "E400")
    assert gateway._get("/sms/3/nothing").status == 404
    assert gateway._get("/sms/3/logs?limit=1001").status == 400
