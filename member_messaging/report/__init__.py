from . import member_gateway_report
from . import member_message_report
from . import member_timeline
from . import member_queue
