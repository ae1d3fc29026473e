"""Stage 6: messaging providers in plain Python, values in and values out.

``README.md`` in this folder tells how to add a provider.
"""

from .aliyun import AliyunGateway
from .base import Gateway
from .generic import GenericGateway
from .infobip import InfobipGateway
from .sandbox import SandboxGateway
from .tencent import TencentGateway
from .twilio import TwilioGateway

#: Every provider the addon ships, by the code stored in ``member.gateway.provider``.
ADAPTERS: dict[str, type[Gateway]] = {
    cls.code: cls
    for cls in (
        AliyunGateway,
        TencentGateway,
        TwilioGateway,
        InfobipGateway,
        GenericGateway,
        SandboxGateway,
    )
}
