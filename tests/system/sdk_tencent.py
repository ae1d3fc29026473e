"""Client of Tencent Cloud SMS: the vendor's SDK, see test_gateways_sdk.py."""

import json
import sys

from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import (
    TencentCloudSDKException,
)
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.sms.v20210111 import models
from tencentcloud.sms.v20210111.sms_client import SmsClient

order = json.load(sys.stdin)
profile = HttpProfile(protocol="http", endpoint=order["endpoint"])
client = SmsClient(
    Credential(order["api_key"], order["api_secret"]),
    "ap-guangzhou",
    ClientProfile(httpProfile=profile),
)
request = getattr(models, f"{order['call']}Request")()
request.from_json_string(json.dumps(order["arguments"]))
try:
    answer = json.loads(getattr(client, order["call"])(request).to_json_string())
except TencentCloudSDKException as error:
    answer = {"error": error.get_code()}
json.dump(answer, sys.stdout)
