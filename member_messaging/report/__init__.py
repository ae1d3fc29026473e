from . import member_message_report
