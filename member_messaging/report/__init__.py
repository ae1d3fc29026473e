from . import member_message_report
from . import member_timeline
