"""Client of Alibaba Cloud SMS: the vendor's SDK, see test_gateways_sdk.py."""

import json
import sys

from alibabacloud_dysmsapi20170525 import models
from alibabacloud_dysmsapi20170525.client import Client
from alibabacloud_tea_openapi.models import Config
from Tea.exceptions import TeaException

order = json.load(sys.stdin)
config = Config(
    protocol="http",
    region_id="cn-hangzhou",
    endpoint=order["endpoint"],
    access_key_id=order["api_key"],
    access_key_secret=order["api_secret"],
)
client = Client(config)
method = {
    "SendSms": client.send_sms,
    "SendBatchSms": client.send_batch_sms,
    "QuerySendDetails": client.query_send_details,
    "QuerySmsTemplateList": client.query_sms_template_list,
}[order["call"]]
request = getattr(models, f"{order['call']}Request")().from_map(order["arguments"])
try:
    answer = method(request).body.to_map()
except TeaException as error:
    answer = {"error": error.code}
json.dump(answer, sys.stdout)
