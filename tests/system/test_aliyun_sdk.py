"""The simulator of Alibaba Cloud SMS is proved by the vendor's own SDK as a client.

The SDK lives in an environment of its own (tests/sdk-requirements.txt). Its interpreter
is ``SDK_PYTHON``, else ``.local/venv-sdk/bin/python``.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from simulators.aliyun import KEY_ID, KEY_SECRET, TEMPLATE, AliyunSimulator

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("SDK_PYTHON") or ROOT / ".local/venv-sdk/bin/python")

#: Runs in the SDK's environment: a request as JSON on stdin, the answer on stdout.
CLIENT = """
import json, sys
from alibabacloud_dysmsapi20170525 import models
from alibabacloud_dysmsapi20170525.client import Client
from alibabacloud_tea_openapi.models import Config

order = json.load(sys.stdin)
client = Client(Config(protocol="http", region_id="cn-hangzhou", **order["config"]))
request = getattr(models, order["call"] + "Request")(**order["arguments"])
method = {
    "SendSms": client.send_sms,
    "SendBatchSms": client.send_batch_sms,
    "QuerySendDetails": client.query_send_details,
}[order["call"]]
try:
    answer = method(request).body.to_map()
except Exception as error:
    answer = {"error": getattr(error, "code", None) or repr(error)}
json.dump(answer, sys.stdout)
"""

BATCH = {
    "template_code": TEMPLATE,
    "out_id": "camp-42",
    "phone_number_json": '["13800138000","13900139000"]',
    "sign_name_json": '["云会员","云会员"]',
    "template_param_json": (
        '[{"name":"张三","days":"3"},{"name":"李四 *~/+&=","days":"7"}]'
    ),
}
SINGLE = {
    "template_code": TEMPLATE,
    "out_id": "camp-43",
    "phone_numbers": "13800138000,+8613700137000",
    "sign_name": "云会员",
    "template_param": '{"name":"王五","days":"1"}',
}


@pytest.fixture
def simulator():
    with AliyunSimulator() as simulator:
        yield simulator


def call(simulator, name, secret=KEY_SECRET, **arguments):
    """Let the SDK make one call; return the decoded answer."""
    assert PYTHON.exists(), f"no SDK environment at {PYTHON}, see scripts/test"
    config = {
        "access_key_id": KEY_ID,
        "access_key_secret": secret,
        "endpoint": simulator.endpoint,
    }
    order = {"call": name, "config": config, "arguments": arguments}
    done = subprocess.run(
        [PYTHON, "-W", "ignore", "-c", CLIENT],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_send_batch_sms(simulator):
    answer = call(simulator, "SendBatchSms", **BATCH)
    assert answer["Code"] == "OK", answer
    assert simulator.accepted == {"13800138000": 1, "13900139000": 1}
    assert [m.params["name"] for m in simulator.messages] == ["张三", "李四 *~/+&="]
    assert {m.biz_id for m in simulator.messages} == {answer["BizId"]}
    assert {m.out_id for m in simulator.messages} == {"camp-42"}


def test_send_sms(simulator):
    answer = call(simulator, "SendSms", **SINGLE)
    assert answer["Code"] == "OK", answer
    assert simulator.accepted == {"13800138000": 1, "13700137000": 1}


def test_query_send_details(simulator):
    biz_id = call(simulator, "SendSms", **SINGLE)["BizId"]
    simulator.settle()
    answer = call(
        simulator,
        "QuerySendDetails",
        phone_number="13800138000",
        biz_id=biz_id,
        send_date=simulator.state()["messages"][0]["sent"][:10].replace("-", ""),
        page_size=10,
        current_page=1,
    )
    assert answer["TotalCount"] == 1, answer
    (detail,) = answer["SmsSendDetailDTOs"]["SmsSendDetailDTO"]
    assert (detail["SendStatus"], detail["OutId"]) == (3, "camp-43")


@pytest.mark.parametrize(
    ("name", "arguments"), [("SendBatchSms", BATCH), ("SendSms", SINGLE)]
)
def test_wrong_secret(simulator, name, arguments):
    answer = call(simulator, name, secret=f"{KEY_SECRET}4", **arguments)
    assert "SignatureDoesNotMatch" in answer["error"]
    assert not simulator.accepted


def test_refusal_is_an_answer(simulator):
    arguments = {**BATCH, "phone_number_json": '["13800138000"]'}
    answer = call(simulator, "SendBatchSms", **arguments)
    assert answer["Code"] == "isv.INVALID_PARAMETERS"
